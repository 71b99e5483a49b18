"""What makes the codings of a worker: a coder that its parent starts, or that it starts itself."""

from epollo.annotations import TYPE_CHECKING
from epollo.coder.client import SharedCompressor
from epollo.loop import CallInLoop, EventLoop
from epollo.settings import Settings, select_sites
from epollo.site.compressor import Compressor
from epollo.worker.orders import Orders

if TYPE_CHECKING:
    from epollo.coder.supply import CoderSupply


def open_compressor(
    settings: Settings,
    loop: EventLoop,
    call_in_loop: CallInLoop,
    *,
    supervisor: Orders | None,
    sandbox: str,
) -> Compressor | None:
    """Return what makes the codings of all sites; None if there are to be none.

    ``sandbox`` is that of this process. A process in a sandbox can start no other: if no parent starts
    a coder, a thread makes the codings.
    """
    if not any(site.compress for site in select_sites(settings)):
        return None
    if supervisor is not None and supervisor.has_coder:
        return SharedCompressor(
            call_in_loop,
            loop.report,
            loop,
            supervisor.ask_for_coder,
            supervisor.say_coder_is_silent,
        )
    if supervisor is not None or sandbox != "off":
        return Compressor(call_in_loop, loop.report)
    return _OwnCompressor(call_in_loop, loop, settings.sandbox)


class _OwnCompressor(SharedCompressor):
    """A compressor with a coder of its own, started when the first codings are wanted."""

    def __init__(
        self,
        call_in_loop: CallInLoop,
        loop: EventLoop,
        sandbox: str,
    ) -> None:
        super().__init__(call_in_loop, loop.report, loop, self._ask, self._look)
        self._sandbox = sandbox
        self._supply: CoderSupply | None = None

    def close(self) -> None:
        """Make nothing more, and end the coder."""
        super().close()
        if self._supply is not None:
            self._supply.close()

    def _ask(self) -> None:
        # A server whose clients take no codings needs none of it.
        from epollo.coder.supply import CoderSupply  # noqa: PLC0415

        if self._supply is None:
            # This process has changed to its user already.
            self._supply = CoderSupply(
                self._loop, self._report, self._sandbox, "", call_in_loop=self._call_in_loop
            )
        self._supply.ask(self.use, 0)

    def _look(self) -> None:
        if self._supply is not None:
            self._supply.look()
