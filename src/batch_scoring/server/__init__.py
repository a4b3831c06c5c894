"""`kedro fleet serve`: a small web application over a workspace; it reads tables and computes no score."""
