"""Every structure and every squeeze against its formula in PyTorch, with gradients by autograd; and against timm's."""

import functools

import numpy as np
import pytest

from npse import backend
from npse.layers import EXCITATIONS, SQUEEZES, make_excitation

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
F = torch.nn.functional

N, H, W, C, M = 5, 6, 6, 8, 4
EPS = 1e-5


def mean(u, p):
    return u.mean((1, 2))


def deviation(u):
    return torch.sqrt(u.var((1, 2), unbiased=True) + EPS)


def batch_norm(x, p, name):
    """Of maps or of rows, over all axes but the last."""
    axes = tuple(range(x.ndim - 1))
    xhat = (x - x.mean(axes)) / torch.sqrt(x.var(axes, unbiased=False) + EPS)
    return p[f"{name}.weight"] * xhat + p[f"{name}.bias"]


def mlp(z, p, name=""):
    h = F.linear(z, p[f"{name}fc1.weight"], p.get(f"{name}fc1.bias"))
    h = batch_norm(h, p, f"{name}bn") if f"{name}bn.weight" in p else h
    return F.linear(F.relu(h), p[f"{name}fc2.weight"], p.get(f"{name}fc2.bias"))


def convolve(u, w, dilation=1):
    """x (N, H, W, Cin), w (kh, kw, Cin, Cout), of one size after it."""
    filters = w.permute(3, 2, 0, 1).contiguous()
    y = F.conv2d(u.permute(0, 3, 1, 2), filters, padding=dilation * (w.shape[0] // 2), dilation=dilation)
    return y.permute(0, 2, 3, 1)


def weighted(u, p, name="squeeze."):
    return batch_norm((u * p[f"{name}weight"]).sum((1, 2)), p, f"{name}bn")


def attention(u, k):
    shares = torch.softmax((u @ k).flatten(1), 1).view(u.shape[:3])
    return (shares[..., None] * u).sum((1, 2))


def cosines(u, p):
    """The definition of the transform, with the frequencies on a map of 7x7 as FcaNet's authors rank them."""
    ranked = [(0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0)]
    z = []
    for c, (v, h) in enumerate(ranked):                          # eight channels, each with a frequency of its own
        v, h = v * H // 7, h * W // 7
        i, j = torch.arange(H) + 0.5, torch.arange(W) + 0.5
        wave = torch.outer(torch.cos(torch.pi * v * i.double() / H), torch.cos(torch.pi * h * j.double() / W))
        z.append((u[..., c] * wave).mean((1, 2)) * 2 ** (0.5 * ((v > 0) + (h > 0))))
    return torch.stack(z, 1)


SQUEEZED = {
    "mean": mean,
    "max": lambda u, p: u.amax((1, 2)),
    "mean_max": lambda u, p: u.mean((1, 2)) + u.amax((1, 2)),
    "mean_deviation": lambda u, p: u.mean((1, 2)) + deviation(u),
    "dct": cosines,
    "weighted": weighted,
    "attention": lambda u, p: attention(u, p["squeeze.weight"]),
}


def eca(z, p, circular=False):
    w = p["weight"]
    padded = F.pad(z[:, None], (len(w) // 2,) * 2, mode="circular" if circular else "constant")
    return F.conv1d(padded, w[None, None])[:, 0]


def normalized(z, groups):
    zg = z.reshape(len(z), groups, -1)
    return ((zg - zg.mean(2, keepdim=True)) / torch.sqrt(zg.var(2, keepdim=True, unbiased=False) + EPS)).view(z.shape)


def grouped(z, p):
    return torch.einsum("ngd,gmd->ngm", z.view(len(z), C // M, -1), p["weight"]).reshape(z.shape)


def gated_channels(u, p):
    e = p["alpha"] * torch.sqrt((u * u).sum((1, 2)) + EPS)
    return 1 + torch.tanh(p["gamma"] * e / torch.sqrt((e * e).mean(1, keepdim=True) + EPS) + p["beta"])


def channel_gates(s):
    """A structure with a gate for each channel, from the function of its gates."""
    return lambda u, p: u * s(u, p)[:, None, None, :]


def of_squeezed(a, squeeze=mean):
    return channel_gates(lambda u, p: torch.sigmoid(a(squeeze(u, p), p)))


def pixel_gates(u, p, name=""):
    return torch.sigmoid(convolve(u, p[f"{name}conv.weight"]))


def spatial(u, p, name=""):
    pooled = torch.stack([u.amax(3), u.mean(3)], 3)
    return u * torch.sigmoid(batch_norm(convolve(pooled, p[f"{name}conv.weight"]), p, f"{name}bn"))


def cbam_channel(u, p, name=""):
    s = torch.sigmoid(mlp(u.mean((1, 2)), p, name) + mlp(u.amax((1, 2)), p, name))
    return u * s[:, None, None, :]


def concurrent(u, p):
    return (u * torch.sigmoid(mlp(u.mean((1, 2)), p, "channel."))[:, None, None, :], u * pixel_gates(u, p, "pixel."))


def bam(u, p):
    a, b = mlp(u.mean((1, 2)), p, "channel."), u
    for k, dilation in enumerate((1, 4, 4)):
        b = F.relu(batch_norm(convolve(b, p[f"pixel.conv{k}.weight"], dilation), p, f"pixel.bn{k}"))
    return u + u * torch.sigmoid(a[:, None, None, :] + convolve(b, p["pixel.conv3.weight"]))


def coordinate(u, p):
    z = torch.cat([u.mean(2), u.mean(1)], 1)[:, :, None]
    z = F.hardswish(batch_norm(convolve(z, p["conv1.weight"]), p, "bn1"))[:, :, 0]
    sh, sw = (torch.sigmoid(F.linear(part, p[f"conv_{name}.weight"]))
              for part, name in ((z[:, :H], "h"), (z[:, H:], "w")))
    return u * sh[:, :, None] * sw[:, None]


def simam(u, p):
    squares = (u - u.mean((1, 2), keepdim=True)) ** 2
    v = squares.sum((1, 2), keepdim=True) / (H * W - 1)
    return u * torch.sigmoid(squares / (4 * (v + 1e-4)) + 0.5)


def global_context(u, p):
    h = F.linear(attention(u, p["attention.weight"]), p["fc1.weight"])
    h = F.relu(F.layer_norm(h, h.shape[1:], p["norm_weight"], p["norm_bias"]))
    return u + F.linear(h, p["fc2.weight"])[:, None, None, :]


FORMULAS = {
    "se": of_squeezed(mlp),
    "none": of_squeezed(lambda z, p: z),
    "per_channel": of_squeezed(lambda z, p: p["weight"] * z),
    "dense": of_squeezed(lambda z, p: F.linear(z, p["fc.weight"])),
    "grouped_dense": of_squeezed(grouped),
    "eca": of_squeezed(eca),
    "eca_circular": of_squeezed(functools.partial(eca, circular=True)),
    "lct": of_squeezed(lambda z, p: p["weight"] * normalized(z, C // M) + p["bias"]),
    "gaussian_context": channel_gates(lambda u, p: torch.exp(-normalized(mean(u, p), 1) ** 2 / 8)),
    "gct": channel_gates(gated_channels),
    "srm": channel_gates(lambda u, p: torch.sigmoid(batch_norm(
        p["weight_mean"] * u.mean((1, 2)) + p["weight_std"] * deviation(u), p, "bn"))),
    "ge_theta": of_squeezed(lambda z, p: z, weighted),
    "ge_theta_plus": of_squeezed(mlp, weighted),
    "fca": of_squeezed(mlp, cosines),
    "gc": global_context,
    "cbam_channel": cbam_channel,
    "cbam_spatial": spatial,
    "cbam": lambda u, p: spatial(cbam_channel(u, p, "channel."), p, "spatial."),
    "sse": lambda u, p: u * pixel_gates(u, p),
    "scse": lambda u, p: sum(concurrent(u, p)),
    "scse_max": lambda u, p: torch.maximum(*concurrent(u, p)),
    "bam": bam,
    "coordinate": coordinate,
    "simam": simam,
    "no_squeeze": lambda u, p: u * torch.sigmoid(mlp(u, p)),
}


def made(name, **options):
    """Return a structure with random arrays in float64, and maps u and a gradient dy to run it on."""
    rng = np.random.default_rng(0)
    layer = make_excitation(C, H, excitation=name, reduction=C // M, rng=rng, **options).astype(np.float64)
    layer.update({key: array + 0.4 * rng.standard_normal(array.shape)
                  for key, array in layer.named_parameters().items()})
    return layer, rng.standard_normal((N, H, W, C)) + 0.5, rng.standard_normal((N, H, W, C))


def assert_agrees(layer, u, dy, formula, edition):
    u_, p = torch.tensor(u, requires_grad=True), {
        key: torch.tensor(array, requires_grad=True) for key, array in layer.named_parameters().items()}
    expected = formula(u_, p)
    expected.backward(torch.tensor(dy))
    with backend.using_edition(edition):
        y, backward = layer(u)
        du, gradients = backward(dy)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(du, u_.grad, rtol=1e-9, atol=1e-9)
    assert gradients.keys() == p.keys()
    for key, array in p.items():
        np.testing.assert_allclose(gradients[key], array.grad, rtol=1e-9, atol=1e-9, err_msg=key)


@pytest.mark.parametrize("edition", backend.available())
@pytest.mark.parametrize("name", EXCITATIONS)
def test_a_structure_is_its_formula(name, edition):
    assert_agrees(*made(name), FORMULAS[name], edition)


@pytest.mark.parametrize("edition", backend.available())
@pytest.mark.parametrize("name", SQUEEZES)
def test_a_squeeze_is_its_formula(name, edition):
    assert_agrees(*made("dense", squeeze=name), of_squeezed(
        lambda z, p: F.linear(z, p["fc.weight"]), SQUEEZED[name]), edition)


@pytest.mark.parametrize("options", [{"bias": True}, {"hidden_norm": True}, {"bias": True, "hidden_norm": True}])
def test_the_hidden_layer_is_its_formula(options):
    assert_agrees(*made("se", **options), FORMULAS["se"], "reference")


GATES = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": F.relu, "softmax": lambda a: torch.softmax(a, 1),
         "hard_sigmoid": lambda a: torch.clamp(a + 3, 0, 6) / 6, "twice_sigmoid": lambda a: 2 * torch.sigmoid(a)}


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_is_its_formula(gate):
    assert_agrees(*made("dense", gate=gate), channel_gates(
        lambda u, p: GATES[gate](F.linear(mean(u, p), p["fc.weight"]))), "reference")


# timm's GatherExcite with weights for each pixel cannot be built (timm 1.0.31).
TIMM = {
    "se": lambda timm: timm.SEModule(C, rd_channels=M, bias=False),
    "dense": lambda timm: timm.EffectiveSEModule(C, gate_layer="sigmoid"),
    "eca": lambda timm: timm.EcaModule(kernel_size=3),
    "eca_circular": lambda timm: timm.CecaModule(kernel_size=3),
    "none": lambda timm: timm.GatherExcite(C, use_mlp=False),
    "cbam": lambda timm: timm.cbam.CbamModule(C, rd_channels=M),
    "coordinate": lambda timm: timm.coord_attn.CoordAttn(C, rd_channels=M),
    "gc": lambda timm: timm.GlobalContext(C, rd_channels=M, fuse_add=True, fuse_scale=False),
}


def in_timm_layout(name, array):
    """Put an array of npse into the layout of timm's module."""
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)                       # filters
    if array.ndim == 2:
        return array[:, :, None, None]                           # a dense layer
    if name == "attention.weight":
        return array[None, :, None, None]
    return array[None, None] if name == "weight" else array      # of ECA


@pytest.mark.parametrize("name", TIMM)
def test_a_structure_is_that_of_timm(name):
    layers = pytest.importorskip("timm_models").timm.layers
    layer, u, dy = made(name, **({"bias": True} if name in ("dense", "gc") else {}))
    theirs = TIMM[name](layers).double().train()
    named = dict(theirs.named_parameters())
    ours = {key: in_timm_layout(key, array) for key, array in layer.named_parameters().items()}
    if name == "cbam":
        ours["spatial.conv.weight"] = ours["spatial.conv.weight"][:, ::-1].copy()              # [mean; max]
    if name == "gc":
        theirs.mlp_add.norm.eps = EPS
        named.pop("conv_attn.bias")                              # a softmax does not change with it
        ours = {key: ours[key] for key in ("attention.weight", "fc1.weight", "fc1.bias", "norm_weight", "norm_bias",
                                           "fc2.weight", "fc2.bias")}
    assert [array.size for array in ours.values()] == [array.numel() for array in named.values()]
    with torch.no_grad():
        for array, target in zip(ours.values(), named.values(), strict=True):
            target.copy_(torch.tensor(array).reshape(target.shape))
    x = torch.tensor(u.transpose(0, 3, 1, 2), requires_grad=True)
    expected = theirs(x)
    expected.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
    y, backward = layer(u)
    np.testing.assert_allclose(y, expected.detach().permute(0, 2, 3, 1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(backward(dy)[0], x.grad.permute(0, 2, 3, 1), rtol=1e-9, atol=1e-9)
