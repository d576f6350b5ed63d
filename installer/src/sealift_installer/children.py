"""What has to be so before a process is started, whoever started this one."""

import signal


def heed_children() -> None:
    """Let the system keep how a process ended until it is asked for.

    Who ignores SIGCHLD, as some that start programs do, has that kept from what it starts too: then
    an interpreter that crashed could not be told from one that went well.
    """
    if hasattr(signal, "SIGCHLD") and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
