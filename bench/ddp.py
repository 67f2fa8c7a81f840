# ddp.py - the same multi-layer perceptron in PyTorch's DistributedDataParallel with gloo, one thread
# a worker: prints "ddp SAMPLES_PER_SECOND".
#     RANK=R WORLD_SIZE=W MASTER_ADDR=localhost MASTER_PORT=P ddp.py BATCH STEPS    for each R
# Debian's PyTorch has no libuv, which torchrun asks for, so the ranks are started one by one.
import sys
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel


def main():
    batch, steps = int(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method="env://?use_libuv=0")
    share = batch // dist.get_world_size()
    torch.manual_seed(1)
    net = torch.nn.Sequential(
        torch.nn.Linear(784, 256), torch.nn.ReLU(),
        torch.nn.Linear(256, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    model = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss_of = torch.nn.CrossEntropyLoss()
    data = torch.randint(0, 256, (60000, 784), dtype=torch.uint8)
    labels = torch.randint(0, 10, (60000,))
    begin = 0.0
    for step in range(steps + 5):
        if step == 5:  # the first ones warm up
            begin = time.perf_counter()
        rows = torch.randint(0, 60000, (share,))
        x = data[rows].float().div_(255)
        optimizer.zero_grad()
        loss_of(model(x), labels[rows]).backward()
        optimizer.step()
    seconds = time.perf_counter() - begin
    if dist.get_rank() == 0:
        print("ddp", batch * steps / seconds)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
