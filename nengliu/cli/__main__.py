"""Run the command line as ``python -P -m nengliu.cli``, as the supervisor starts its parts."""

from nengliu.cli.main import main

if __name__ == "__main__":
    main()
