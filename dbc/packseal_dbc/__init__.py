"""Battery profiles and their DBC files, one folder per BMS family."""
