"""Formats numbers as tables show them, such as «1.023 ± 0.012» and «69 [26, 180]», and escapes text for LaTeX."""

import math
import re


def format_cell(mean: float, low: float, high: float) -> str:
    """A number as «1.023 ± 0.012»: mean ± half-width of its interval, both to the half-width's last digit.

    The half-width has one significant digit, or two if the first is 1 or if it is at least the mean. Without an interval, or
    if all seeds agree to six digits, the number stands alone with three significant digits. Numbers below 10⁻³ and from 10⁵ on
    get a power of ten: «(1.2 ± 0.3)·10⁵». NaN is «–».
    """
    if math.isnan(mean):
        return "–"
    if math.isinf(mean):
        return "∞" if mean > 0 else "−∞"
    half = 0.0 if math.isnan(low) else (high - low) / 2
    if half <= 1e-6 * abs(mean):
        half = 0.0
    largest = max(abs(mean), half)
    exponent = int(f"{largest:.2e}".split("e")[1])  # after rounding, so that 9.9999·10⁻⁶ counts as 10⁻⁵
    shift = exponent if not -3 <= exponent < 5 else 0
    power = f"·10{_superscript(shift)}" if shift else ""
    mean, half = mean / 10.0**shift, half / 10.0**shift
    if not half:
        return fixed(mean, 2 - exponent + shift, trim=True) + power
    text = f"{fixed(mean, _decimals(mean, half))} ± {fixed(half, _decimals(mean, half))}"
    return f"({text}){power}" if power else text


def format_share(share: float, low: float, high: float) -> str:
    """A share in [0, 1] with its asymmetric interval, «0.96 [0.84, 1]»; alone if the interval is missing or has no width."""
    if math.isnan(share):
        return "–"
    share, low, high = ("" if math.isnan(end) else fixed(end, 3, trim=True) for end in (share, low, high))
    return share if low == high else f"{share} [{low}, {high}]"


def format_interval(mean: float, low: float | None, high: float | None) -> str:
    """A number with its asymmetric interval, «1.04 [1.01, 1.07]»; alone if the interval is missing or has no width.

    All three have the decimals that give the largest three significant digits, or more if a narrow interval needs them. If the
    ends are more than a factor 10 apart, each has three significant digits.
    """
    if low is None or math.isnan(low) or low == high:
        return format_cell(mean, math.nan, math.nan)
    ends = mean, low, high
    largest = max(map(abs, ends))
    if not 1e-3 <= largest < 1e5 or 0 < 10 * low < high:
        mean, low, high = (format_cell(end, math.nan, math.nan) for end in ends)
    else:
        decimals = max(2 - math.floor(math.log10(largest)), -math.floor(math.log10(high - low)))
        mean, low, high = (fixed(end, decimals, trim=True) for end in ends)
    return f"{mean} [{low}, {high}]"


def format_p(p: float) -> str:
    """A p-value with two significant digits; «< 0.001» below that, «–» for NaN."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else fixed(p, 1 - math.floor(math.log10(p)), trim=True)


def format_duration(seconds: float) -> str:
    """A duration as «9 s», «10 min 28 s» or «3 h 5 min»."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _decimals(mean: float, half: float) -> int:
    lead = math.floor(math.log10(half))
    digits = 2 if half < 2 * 10.0**lead or half >= abs(mean) else 1
    return digits - 1 - lead


def fixed(value: float, decimals: int, trim: bool = False) -> str:
    """A number with so many decimals (negative: rounded to tens, hundreds, …); ``trim`` removes trailing zeros."""
    text = f"{round(value, decimals) + 0.0:.{max(decimals, 0)}f}"
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−")


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


_LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "−": "$-$",
    "–": "--",
    "∞": r"$\infty$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "§": r"$^{\S}$",
    "₀": "$_0$",
    "κ": r"$\kappa$",
    "β": r"$\beta$",
}
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def escape_latex(text: str) -> str:
    """Text for LaTeX: escapes special characters, and writes the signs of these tables as commands, «10⁻⁴» as `10$^{-4}$`."""
    text = text.translate(str.maketrans(_LATEX))
    return re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: f"$^{{{found[0].translate(_SUPERSCRIPTS)}}}$", text)
