"""The same network and the same step, as a user of PyTorch would write them. Only measuring processes import this."""

import re

import torch
import torch.nn.functional as F
from torch import nn

from npse.bench.timing import figures, peak_memory, times
from npse.bench.workload import DECAY, MOMENTUM, RATE, SMOOTHING, batch, build
from npse.training.metric_accumulator import READ_EVERY

WARM = 3


class SqueezeExcite(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, channels, bias=False)

    def forward(self, u):
        s = torch.sigmoid(self.fc2(F.relu(self.fc1(u.mean((2, 3))))))
        return u * s[:, :, None, None]


class Block(nn.Module):
    def __init__(self, cin, cout, stride, hidden):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.se = SqueezeExcite(cout, hidden) if hidden else nn.Identity()
        self.downsample = (nn.Identity() if cin == cout and stride == 1 else
                           nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)))

    def forward(self, x):
        f = F.relu(self.bn1(self.conv1(x)), inplace=True)
        f = self.se(self.bn2(self.conv2(f)))
        return F.relu(f + self.downsample(x), inplace=True)


class ResNet(nn.Module):
    """The network `npse.models.resnet` in its default form, with the weights of ``state``, the named arrays of npse."""

    def __init__(self, state):
        super().__init__()
        filters = {name.removesuffix(".conv1.weight"): w.shape for name, w in state.items()
                   if name.startswith("layer") and name.endswith(".conv1.weight")}
        self.conv1 = nn.Conv2d(*state["conv1.weight"].shape[2:], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(state["conv1.weight"].shape[3])
        for stage in sorted({name.split(".")[0] for name in filters}):
            blocks = [Block(cin, cout, 1 if stage == "layer1" or not name.endswith(".0") else 2,
                            len(state.get(f"{name}.se.fc1.weight", ())))
                      for name, (_, _, cin, cout) in filters.items() if name.startswith(stage)]
            self.add_module(stage, nn.Sequential(*blocks))
        self.fc = nn.Linear(*reversed(state["fc.weight"].shape))
        load(self, state)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class PreActBlock(nn.Module):
    def __init__(self, state, name, stride):
        super().__init__()
        weights = [state[f"{name}.conv{k}.weight"].shape for k in (1, 2, 3) if f"{name}.conv{k}.weight" in state]
        strided = next(k for k, (kernel, *_) in enumerate(weights) if kernel == 3)
        self.bns = nn.ModuleList(nn.BatchNorm2d(cin) for _, _, cin, _ in weights)
        self.convs = nn.ModuleList(nn.Conv2d(cin, cout, kernel, stride if k == strided else 1, kernel // 2, bias=False)
                                   for k, (kernel, _, cin, cout) in enumerate(weights))
        cin, cout = weights[0][2], weights[-1][3]
        hidden = len(state.get(f"{name}.se.fc1.weight", ()))
        self.se = SqueezeExcite(cout, hidden) if hidden else nn.Identity()
        self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False)) if (
            f"{name}.downsample.0.weight" in state) else None

    def forward(self, x):
        f = h = F.relu(self.bns[0](x), inplace=True)
        for bn, conv in zip(self.bns, self.convs, strict=True):
            f = conv(h if bn is self.bns[0] else F.relu(bn(f), inplace=True))
        return self.se(f) + (x if self.downsample is None else self.downsample(h))


class PreActResNet(nn.Module):
    """The network `npse.models.preact_resnet` in its default form, with the weights of ``state``."""

    def __init__(self, state):
        super().__init__()
        self.conv1 = nn.Conv2d(*state["conv1.weight"].shape[2:], 3, 1, 1, bias=False)
        self.names = [name.removesuffix(".bn1.weight") for name in state if name.endswith(".bn1.weight")]
        self.blocks = nn.ModuleList(PreActBlock(state, name, 2 if name in ("layer2.0", "layer3.0") else 1)
                                    for name in self.names)
        self.bn = nn.BatchNorm2d(len(state["bn.weight"]))
        self.fc = nn.Linear(*reversed(state["fc.weight"].shape))
        load(self, {self._named(name): array for name, array in state.items()})

    def forward(self, x):
        x = self.conv1(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(F.relu(self.bn(x), inplace=True).mean((2, 3)))

    def _named(self, name):
        """The name of an array of npse here: layer1.0.conv2.weight is blocks.0.convs.1.weight."""
        for number, block in enumerate(self.names):
            if name.startswith(f"{block}."):
                return f"blocks.{number}." + re.sub(r"^(conv|bn)(\d)", lambda found: f"{found[1]}s.{int(found[2]) - 1}",
                                                    name.removeprefix(f"{block}."))
        return name


class Unit(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se = SqueezeExcite(channels, hidden) if hidden else nn.Identity()

    def forward(self, x):
        return F.relu(self.se(self.bn2(self.conv2(x))) + x, inplace=True)


class Stage(nn.Module):
    def __init__(self, cin, cout, hidden):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.unit = Unit(cout, hidden)

    def forward(self, x):
        return self.unit(F.relu(self.bn1(F.max_pool2d(self.conv1(x), 2)), inplace=True))


class Wide(nn.Module):
    """The network `npse.models.wide` in its default form, with the weights of ``state``, the named arrays of npse."""

    def __init__(self, state):
        super().__init__()
        self.conv1 = nn.Conv2d(*state["conv1.weight"].shape[2:], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(state["conv1.weight"].shape[3])
        self.stages = [name.removesuffix(".conv1.weight") for name in state if name.endswith(".conv1.weight")]
        for stage in self.stages:
            self.add_module(stage, Stage(*state[f"{stage}.conv1.weight"].shape[2:],
                                         len(state.get(f"{stage}.unit.se.fc1.weight", ()))))
        self.fc = nn.Linear(*reversed(state["fc.weight"].shape))
        load(self, state)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return self.fc(x.mean((2, 3)))


class FastStage(nn.Module):
    def __init__(self, cin, cout, hidden):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.se = SqueezeExcite(cout, hidden) if hidden else nn.Identity()
        for bn in (self.bn1, self.bn2):
            bn.weight.requires_grad = False

    def forward(self, x):
        x = F.silu(self.bn1(F.max_pool2d(self.conv1(x), 2)), inplace=True)
        return F.silu(self.se(self.bn2(self.conv2(x))), inplace=True)


class Fast(nn.Module):
    """The network `npse.models.fast` in its default form, with the weights of ``state``, the named arrays of npse."""

    def __init__(self, state):
        super().__init__()
        self.whiten = nn.Conv2d(*state["whiten.weight"].shape[2:], 3, 1, 1)
        self.whiten.weight.requires_grad = False
        for stage in ("layer1", "layer2", "layer3"):
            hidden = len(state.get(f"{stage}.se.fc1.weight", ()))
            self.add_module(stage, FastStage(*state[f"{stage}.conv1.weight"].shape[2:], hidden))
        self.fc = nn.Linear(*reversed(state["fc.weight"].shape), bias=False)
        load(self, state)

    def forward(self, x):
        x = F.silu(self.whiten(x), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.amax((2, 3)))


def load(network, state):
    """Copy the arrays of a network of npse into one of PyTorch; RuntimeError if any name or shape differs."""
    arrays = {name: torch.tensor(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)
              for name, array in state.items()}
    counters = {name: tensor for name, tensor in network.state_dict().items() if name.endswith("batches_tracked")}
    network.load_state_dict(arrays | counters)


def kind_of(model):
    """Return the class for a model of npse; ValueError if it is not written with PyTorch here."""
    kinds = {r"(se_)?wide": Wide, r"(se_)?fast": Fast, r"(se_)?preact_resnet\d+": PreActResNet,
             r"(se_)?resnet(8|14|20|32|44|56|110)": ResNet}
    for pattern, kind in kinds.items():
        if re.fullmatch(pattern, model):
            return kind
    raise ValueError(f"{model} is not written with PyTorch here; compare a resnet, a preact_resnet, wide or fast")


class Peer:
    """The work of `workload.prepare`, in PyTorch.

    ``train()`` returns the loss of the last step, ``evaluate()`` the logits of a batch. Like npse, it reads losses
    after every step on the processor, and after every ten steps on a GPU.
    """

    def __init__(self, model, batch_size, channels_last, compiled, device="cpu", tf32=False, graphs=False):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True                     # it tries its algorithms and takes the fastest
        self.steps = READ_EVERY if device == "cuda" else 1
        layout = torch.channels_last if channels_last else torch.contiguous_format
        x, labels = batch(batch_size)
        self.x = torch.tensor(x, device=device).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        self.labels = torch.tensor(labels, device=device)
        self.network = kind_of(model)(build(model).state()).to(device, memory_format=layout)
        mode = "reduce-overhead" if graphs else "default"
        self.run = torch.compile(self.network, mode=mode) if compiled else self.network
        decayed, others = ([w for w in self.network.parameters() if w.requires_grad and (w.ndim > 1) is matrix]
                           for matrix in (True, False))
        # fused: the fastest of PyTorch's three implementations of the update
        self.optimizer = torch.optim.SGD([{"params": decayed, "weight_decay": DECAY}, {"params": others}], RATE,
                                         MOMENTUM, nesterov=True, fused=True)

    def train(self):
        for loss, correct in [self._step() for _ in range(self.steps)]:
            last, _ = loss.item(), int(correct)
        return last

    def _step(self):
        self.network.train()
        self.optimizer.zero_grad()
        torch.compiler.cudagraph_mark_step_begin()                # the memory of the last step may be used again
        logits = self.run(self.x)
        loss = F.cross_entropy(logits, self.labels, label_smoothing=SMOOTHING)
        loss.backward()
        self.optimizer.step()
        return loss.detach().clone(), (logits.argmax(1) == self.labels).sum()     # npse's step counts them too

    def evaluate(self):
        self.network.eval()
        with torch.inference_mode():
            return self.run(self.x).cpu()


def measure(model, batch_size, threads, seconds, channels_last, compiled, device="cpu", tf32=False, graphs=False):
    """Time the training step and the evaluation of one mode; the peak memory is that of training."""
    torch.set_num_threads(threads)
    peer = Peer(model, batch_size, channels_last, compiled, device, tf32, graphs)
    train = times(peer.train, seconds, warm=WARM)
    peak = torch.cuda.max_memory_reserved() / 1e6 if device == "cuda" else peak_memory()
    return {"train": figures(train, peer.steps), "peak_mb": peak,
            "eval": figures(times(peer.evaluate, seconds, warm=WARM)),
            "torch": torch.__version__, "threads": torch.get_num_threads()}
