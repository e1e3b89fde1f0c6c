// Load the table widget DataTables from its source in this page.
const source = JSON.parse(document.getElementById("widget").textContent);
const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
const { default: DataTable } = await import(address);
URL.revokeObjectURL(address);
for (const table of document.querySelectorAll("table.sortable")) {
  new DataTable(table, { paging: false, searching: false, info: false, autoWidth: false, order: [] });
}

// Explanations of metrics: the browser shows them on click, touch or key; this adds hover, and places them below their sign.
for (const sign of document.querySelectorAll(".term")) {
  const note = document.getElementById(sign.getAttribute("popovertarget"));
  const place = () => {
    const box = sign.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    note.style.left = `${Math.max(8, Math.min(box.left, width - note.offsetWidth - 8))}px`;
    const below = box.bottom + 6;
    note.style.top = `${below + note.offsetHeight > innerHeight ? Math.max(8, box.top - note.offsetHeight - 6) : below}px`;
  };
  const show = () => {
    if (!note.matches(":popover-open")) note.showPopover();
    place();
  };
  sign.addEventListener("click", (event) => {
    event.stopPropagation(); // do not sort the column
    event.preventDefault();
    show();
  });
  sign.addEventListener("keypress", (event) => event.stopPropagation());
  sign.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show());
  sign.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && note.hidePopover());
}

// Figures: a click enlarges them, arrows step through them.
const viewer = document.getElementById("viewer");
let shown = null;
const enlarge = (figure) => {
  shown = figure;
  const picture = figure.querySelector("img");
  const large = document.getElementById("viewer-image");
  large.src = picture.src;
  large.alt = picture.alt;
  document.getElementById("viewer-title").textContent = picture.alt;
  document.getElementById("viewer-file").href = picture.src;
  document.getElementById("viewer-caption").textContent = figure.querySelector("figcaption").textContent;
  if (!viewer.open) viewer.showModal();
};
const step = (by) => {
  const all = [...shown.closest(".run").querySelectorAll("figure")];
  enlarge(all[(all.indexOf(shown) + by + all.length) % all.length]);
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.enlarge");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    enlarge(link.closest("figure"));
  }
});
for (const button of viewer.querySelectorAll("[data-step]")) button.addEventListener("click", () => step(+button.dataset.step));
viewer.querySelector("[data-close]").addEventListener("click", () => viewer.close());
viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
viewer.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) step(by);
});

// The switch between runs, and links into folded parts.
const runs = [...document.querySelectorAll(".run")];
const choose = (id) => {
  for (const run of runs) run.hidden = run.id !== id;
  for (const button of document.querySelectorAll("[data-shows]")) button.setAttribute("aria-pressed", button.dataset.shows === id);
};
const reveal = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const run = target.closest(".run");
  if (run && run.hidden) choose(run.id);
  for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  target.scrollIntoView({ block: target.matches("tr") ? "center" : "start" });
};
choose(runs[0].id);
for (const button of document.querySelectorAll("[data-shows]")) button.addEventListener("click", () => choose(button.dataset.shows));
addEventListener("hashchange", reveal);
reveal();

// In print, explanations are unfolded; the tables of all numbers would take fifty pages and are left out.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open], .numbers)")];
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of folded) part.open = false;
});
