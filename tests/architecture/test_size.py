"""A file has one duty and a function fits a glance. The numbers are those of packages that people like to read."""

from statistics import median, quantiles

from support.sources import PACKAGE, functions, modules

FILE_MEDIAN, FILE_CAP = 120, 600
FUNCTION_P95, FUNCTION_CAP = 40, 80


def file_lengths() -> dict[str, int]:
    return {
        str(path): (PACKAGE / path).read_text(encoding="utf-8").count("\n")
        for path in modules()
        if path.name != "__init__.py"  # most hold a sentence and would flatter the median
    }


def test_the_median_file_is_short():
    assert median(file_lengths().values()) <= FILE_MEDIAN


def test_no_file_is_too_long():
    assert not {path: lines for path, lines in file_lengths().items() if lines > FILE_CAP}


def test_nineteen_functions_of_twenty_fit_a_glance():
    assert quantiles([lines for _, lines in functions()], n=20)[-1] <= FUNCTION_P95


def test_no_function_is_too_long():
    assert not {place: lines for place, lines in functions() if lines > FUNCTION_CAP}
