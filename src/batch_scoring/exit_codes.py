"""What the exit codes of the commands mean."""

FAILED = 1
# Another run was quicker: run it again, nothing is lost (EX_TEMPFAIL of sysexits.h).
OVERTAKEN = 75
