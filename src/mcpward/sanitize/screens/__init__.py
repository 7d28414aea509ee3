"""One file for each thing that a result is screened for, apart from secrets."""
