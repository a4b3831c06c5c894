"""What a schedule costs on which cluster: a simulator of jobs and nodes. Knows no engine and runs no job."""
