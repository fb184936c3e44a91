"""Intervals, paired tests, power, AUROC and calibration."""
