"""Stage `report`: all numbers of a run in one file, all its pictures in one page."""
