"""The same ops and the same network written with PyTorch, whose autograd is a second reference for every gradient."""

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)                                          # with tiny arrays more threads cost time


def tensor(array, gradient=True):
    """Copy an array into a tensor that collects its gradient."""
    return torch.tensor(np.asarray(array), requires_grad=gradient)


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def conv2d(x, w, stride, padding, dilation=1, groups=1):
    return nhwc(F.conv2d(nchw(x).contiguous(), w.permute(3, 2, 0, 1).contiguous(), None, stride, padding, dilation,
                         groups))


def batch_norm(x, gamma, beta, mean=None, var=None, eps=1e-5):
    return nhwc(F.batch_norm(nchw(x), mean, var, gamma, beta, training=mean is None, eps=eps))


def excite(z, w1, w2, b1=None, b2=None):
    return torch.sigmoid(F.linear(F.relu(F.linear(z, w1, b1)), w2, b2))


def se(u, w1, w2, b1=None, b2=None):
    return u * excite(u.mean((1, 2)), w1, w2, b1, b2)[:, None, None, :]


def se_resnet(parameters, x, placement):
    """Return the logits of the network with these named parameters, in training mode; all arrays are NHWC."""
    p = parameters

    def norm(x, name):
        return batch_norm(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def gate(x, name):
        names = [f"{name}.se.{fc}.{kind}" for kind in ("weight", "bias") for fc in ("fc1", "fc2")]
        return se(x, *(p.get(name) for name in names))

    def shortcut(x, name, stride, cout):
        if f"{name}.downsample.0.weight" in p:
            return norm(conv2d(x, p[f"{name}.downsample.0.weight"], stride, 0), f"{name}.downsample.1")
        return F.pad(x[:, ::stride, ::stride], (0, cout - x.shape[3]))

    def block(x, name, stride):
        gated = f"{name}.se.fc1.weight" in p
        f = gate(x, name) if gated and placement == "pre" else x
        f = F.relu(norm(conv2d(f, p[f"{name}.conv1.weight"], stride, 1), f"{name}.bn1"))
        f = norm(conv2d(f, p[f"{name}.conv2.weight"], 1, 1), f"{name}.bn2")
        f = gate(f, name) if gated and placement == "standard" else f
        r = shortcut(x, name, stride, f.shape[3])
        r = gate(r, name) if gated and placement == "identity" else r
        y = F.relu(f + r)
        return gate(y, name) if gated and placement == "post" else y

    x = F.relu(norm(conv2d(x, p["conv1.weight"], 1, 1), "bn1"))
    for name in sorted({".".join(key.split(".")[:2]) for key in p if key.startswith("layer")},
                       key=lambda name: (name.split(".")[0], int(name.split(".")[1]))):
        x = block(x, name, 2 if name in ("layer2.0", "layer3.0") else 1)
    return F.linear(x.mean((1, 2)), p["fc.weight"], p["fc.bias"])
