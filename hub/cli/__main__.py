"""`python -m hub.cli`, as the supervisor starts services."""

from hub.cli.main import main

main()
