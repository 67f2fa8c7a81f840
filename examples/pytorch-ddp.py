# pytorch-ddp.py - training in PyTorch's DistributedDataParallel with gloo, which goes on from its
# own checkpoint when it is started again with another number of ranks. Runs unchanged under
#     torchrun --nproc-per-node 2 pytorch-ddp.py
#     onward gang -n 2 -- python3 pytorch-ddp.py
import os
import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

STEPS, BATCH = 200, 64


def main():
    torch.set_num_threads(1)
    # Debian's PyTorch has no libuv.
    dist.init_process_group("gloo", init_method="env://?use_libuv=0")
    rank, size = dist.get_rank(), dist.get_world_size()
    path = os.path.join(os.environ.get("ONWARD_RESTART_DIR", "."), "checkpoint.pt")
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(10, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
    model = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    first = 0
    if os.path.exists(path):  # every rank reads it, so that all begin with the same weights
        state = torch.load(path)
        net.load_state_dict(state["net"])
        first = state["step"]
    print(f"rank {rank} of {size} from step {first}", flush=True)
    for step in range(first, STEPS):
        generator = torch.Generator().manual_seed(step)  # the same batch whatever the number of ranks
        x = torch.rand(BATCH, 10, generator=generator)
        y = x.pow(2).sum(1, keepdim=True)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x[rank::size]), y[rank::size])
        loss.backward()
        optimizer.step()
        if (step + 1) % 20 == 0 and rank == 0:
            torch.save({"net": net.state_dict(), "step": step + 1}, path + ".new")
            os.replace(path + ".new", path)
        if os.environ.get("FAIL_AT") == str(step) and first == 0 and rank == size - 1:
            sys.exit(1)
    if rank == 0:
        print(f"loss {loss.item():.4f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
