# torchrun.py - torchrun, on one host, with the stores that Debian's PyTorch has: built without
# libuv, it cannot make the one that torchrun asks for, and the ranks make one of their own, as they
# do where TORCHELASTIC_USE_AGENT_STORE is not set. Arguments as torchrun's.
import functools
import socket

import torch.distributed as dist
from torch.distributed.elastic.rendezvous import static_tcp_rendezvous as static
from torch.distributed.run import main


class OwnStore(static.StaticTCPRendezvous):
    use_agent_store = False

    def next_rendezvous(self):
        with socket.socket() as free:  # torchrun's own: --master-port is the ranks'
            free.bind((self.master_addr, 0))
            self.master_port = free.getsockname()[1]
        return super().next_rendezvous()


if "use_libuv" in (dist.TCPStore.__init__.__doc__ or ""):  # since 2.3
    static.TCPStore = functools.partial(dist.TCPStore, use_libuv=False)
static.StaticTCPRendezvous = OwnStore
main()
