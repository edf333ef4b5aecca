"""Every op, and the whole SE-ResNet-20, against PyTorch's autograd in float64, over random shapes and both editions."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from npse import backend, models

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
oracle = pytest.importorskip("torch_oracle")
F = torch.nn.functional

TOLERANCE = 1e-10
EXAMPLES = settings(deadline=None, max_examples=200, derandomize=True)
FEWER = settings(deadline=None, max_examples=100, derandomize=True)
SIZES = st.integers(1, 6)


# The default suite compares every edition with the book; -m slow compares them with PyTorch: each shape compiles there.
@pytest.fixture(params=["reference", *(pytest.param(name, marks=pytest.mark.slow)
                                       for name in backend.available() if name != "reference")], scope="module")
def ops(request):
    return backend.with_numpy_results(request.param)


def agree(ours, theirs):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * max(1.0, np.abs(theirs).max()))


def judge(forward, ours, arguments, rng, gradients):
    """Compare outputs, then the gradients of a random upstream gradient, with autograd's."""
    tensors = {name: oracle.tensor(array) for name, array in arguments.items()}
    expected = forward(**tensors)
    agree(ours, expected)
    dy = rng.standard_normal(ours.shape)
    expected.backward(torch.tensor(dy))
    for (name, t), gradient in zip(tensors.items(), gradients(dy), strict=True):
        assert t.grad is not None, name
        agree(gradient, t.grad)


@st.composite
def maps(draw, least=1):
    return draw(SIZES), draw(st.integers(least, 9)), draw(st.integers(least, 9)), draw(SIZES)


@EXAMPLES
@given(maps(), SIZES, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(0, 99))
def test_conv2d(ops, shape, cout, kh, kw, stride, padding, seed):
    _, H, W, cin = shape
    assume(H + 2 * padding >= kh and W + 2 * padding >= kw)
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal(shape), rng.standard_normal((kh, kw, cin, cout))
    judge(lambda x, w: oracle.conv2d(x, w, stride, padding), ops.conv2d(x, w, stride, padding), {"x": x, "w": w}, rng,
          lambda dy: (ops.conv2d_backward_x(dy, w, x.shape, stride, padding),
                      ops.conv2d_backward_w(dy, x, w.shape, stride, padding)))


@EXAMPLES
@given(maps(), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3),
       st.integers(0, 3), st.integers(1, 3), st.integers(0, 99))
def test_grouped_conv2d(ops, shape, groups, K, kh, kw, stride, padding, dilation, seed):
    N, H, W, D = shape
    assume(H + 2 * padding > dilation * (kh - 1) and W + 2 * padding > dilation * (kw - 1))
    rng, how = np.random.default_rng(seed), (groups, stride, padding, dilation)
    x, w = rng.standard_normal((N, H, W, groups * D)), rng.standard_normal((kh, kw, D, groups * K))
    judge(lambda x, w: oracle.conv2d(x, w, stride, padding, dilation, groups), ops.grouped_conv2d(x, w, *how),
          {"x": x, "w": w}, rng, lambda dy: (ops.grouped_conv2d_backward_x(dy, w, x.shape, *how),
                                             ops.grouped_conv2d_backward_w(dy, x, w.shape, *how)))


@EXAMPLES
@given(maps(), st.integers(1, 7), st.booleans(), st.integers(0, 99))
def test_se_block(ops, shape, hidden, biased, seed):
    rng, C = np.random.default_rng(seed), shape[3]
    arguments = {"u": rng.standard_normal(shape), "w1": rng.standard_normal((hidden, C)),
                 "w2": rng.standard_normal((C, hidden))}
    if biased:
        arguments |= {"b1": rng.standard_normal(hidden), "b2": rng.standard_normal(C)}
    judge(oracle.se, ops.se(**arguments), arguments, rng, lambda dy: ops.se_backward(dy, **arguments)[:len(arguments)])


@FEWER
@given(maps(), st.integers(1, 7), st.booleans(), st.integers(0, 99))
def test_squeeze_excite_and_scale(ops, shape, hidden, biased, seed):
    rng, (N, _, _, C) = np.random.default_rng(seed), shape
    u = rng.standard_normal(shape)
    judge(lambda u: u.mean((1, 2)), ops.squeeze(u), {"u": u}, rng, lambda dz: (ops.squeeze_backward(dz, u.shape),))
    arguments = {"z": rng.standard_normal((N, C)), "w1": rng.standard_normal((hidden, C)),
                 "w2": rng.standard_normal((C, hidden))}
    if biased:
        arguments |= {"b1": rng.standard_normal(hidden), "b2": rng.standard_normal(C)}
    s = ops.excite(**arguments)
    judge(oracle.excite, s, arguments, rng, lambda ds: ops.excite_backward(
        ds, arguments["z"], s, arguments["w1"], arguments["w2"], arguments.get("b1"))[:len(arguments)])
    judge(lambda u, s: u * s[:, None, None, :], ops.scale(u, s), {"u": u, "s": s}, rng,
          lambda dy: ops.scale_backward(dy, u, s))


@EXAMPLES
@given(maps(), st.integers(0, 99))
def test_batch_norm(ops, shape, seed):
    assume(shape[0] * shape[1] * shape[2] > 3)                    # the variance of two or three numbers is inaccurate
    rng, C = np.random.default_rng(seed), shape[3]
    x, gamma, beta = rng.standard_normal(shape), rng.standard_normal(C), rng.standard_normal(C)
    arguments = {"x": x, "gamma": gamma, "beta": beta}
    y, mean, var = ops.batch_norm(x, gamma, beta)
    judge(oracle.batch_norm, y, arguments, rng, lambda dy: ops.batch_norm_backward(dy, x, gamma, mean, var))
    y, mean, var = ops.batch_norm_relu(x, gamma, beta)
    judge(lambda **a: F.relu(oracle.batch_norm(**a)), y, arguments, rng,
          lambda dy: ops.batch_norm_relu_backward(dy, x, gamma, beta, mean, var))

    fixed, spread = rng.standard_normal(C), rng.random(C) + 0.5
    judge(lambda **a: oracle.batch_norm(**a, mean=torch.tensor(fixed), var=torch.tensor(spread)),
          ops.batch_norm_inference(x, gamma, beta, fixed, spread), arguments, rng,
          lambda dy: ops.batch_norm_inference_backward(dy, x, gamma, fixed, spread))


@FEWER
@given(maps(), st.integers(0, 99))
def test_running_statistics(ops, shape, seed):
    count = shape[0] * shape[1] * shape[2]
    assume(count > 1)
    rng, C = np.random.default_rng(seed), shape[3]
    x, mean, var = rng.standard_normal(shape), rng.standard_normal(C), rng.random(C)
    their_mean, their_var = torch.tensor(mean.copy()), torch.tensor(var.copy())
    F.batch_norm(oracle.nchw(torch.tensor(x)), their_mean, their_var, training=True, momentum=0.3)
    _, batch_mean, batch_var = ops.batch_norm(x, np.ones(C), np.zeros(C))
    ours = ops.running_statistics(batch_mean, batch_var, count, mean, var, 0.3)
    agree(ours[0], their_mean)
    agree(ours[1], their_var)


@FEWER
@given(maps(), st.integers(0, 99))
def test_residual_joins(ops, shape, seed):
    rng = np.random.default_rng(seed)
    f, x, s = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal((shape[0], shape[3]))
    judge(lambda f, x: f + x, ops.add(f, x), {"f": f, "x": x}, rng, ops.add_backward)
    y = ops.add_relu(f, x)
    judge(lambda f, x: F.relu(f + x), y, {"f": f, "x": x}, rng, lambda dy: ops.add_relu_backward(dy, y))
    z = ops.scale_add_relu(f, s, x)
    judge(lambda u, s, x: F.relu(u * s[:, None, None, :] + x), z, {"u": f, "s": s, "x": x}, rng,
          lambda dy: ops.scale_add_relu_backward(dy, f, s, z))
    judge(lambda u, s, x: u * s[:, None, None, :] + x, ops.scale_add(f, s, x), {"u": f, "s": s, "x": x}, rng,
          lambda dy: ops.scale_add_backward(dy, f, s))
    alpha = rng.random(shape[0])
    judge(lambda a, b: b.lerp(a, torch.tensor(alpha)[:, None, None, None]), ops.shake(f, x, alpha), {"a": f, "b": x},
          rng, lambda dy: ops.shake_backward(dy, alpha))


@FEWER
@given(SIZES, SIZES, SIZES, st.integers(0, 99))
def test_dense_and_activations(ops, N, C, K, seed):
    rng = np.random.default_rng(seed)
    x, w, b = rng.standard_normal((N, C)), rng.standard_normal((K, C)), rng.standard_normal(K)
    judge(F.linear, ops.dense(x, w, b), {"input": x, "weight": w, "bias": b}, rng,
          lambda dy: ops.dense_backward(dy, x, w))
    judge(lambda x: F.relu(x), ops.relu(x), {"x": x}, rng, lambda dy: (ops.relu_backward(dy, ops.relu(x)),))
    wide = 30 * x
    judge(torch.sigmoid, ops.sigmoid(wide), {"input": wide}, rng,
          lambda dy: (ops.sigmoid_backward(dy, ops.sigmoid(wide)),))


@FEWER
@given(maps(), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_pools(ops, shape, size, stride, seed):
    assume(min(shape[1:3]) >= size)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    judge(lambda x: oracle.nhwc(F.max_pool2d(oracle.nchw(x), size, stride)), ops.max_pool(x, size, stride), {"x": x},
          rng, lambda dy: (ops.max_pool_backward(dy, x, size, stride),))
    judge(lambda x: oracle.nhwc(F.avg_pool2d(oracle.nchw(x), size, stride)), ops.average_pool(x, size, stride),
          {"x": x}, rng, lambda dy: (ops.average_pool_backward(dy, x.shape, size, stride),))
    judge(lambda x: x.mean((1, 2)), ops.global_average_pool(x), {"x": x}, rng,
          lambda dy: (ops.global_average_pool_backward(dy, x.shape),))


def pool_windows():
    """Draw size, stride, padding and ceil_mode of a window."""
    return st.integers(1, 5).flatmap(lambda size: st.tuples(
        st.just(size), st.integers(1, 4), st.integers(0, size // 2), st.booleans()))


def fits(shape, size, stride, padding, ceil_mode):
    """Whether PyTorch takes the window: at least one must fit along each axis."""
    return all(n + 2 * padding - size + (stride - 1) * ceil_mode >= 0 for n in shape[1:3])


@EXAMPLES
@given(maps(), pool_windows(), st.booleans(), st.integers(0, 99))
def test_pools_with_padding(ops, shape, window, count_include_pad, seed):
    assume(fits(shape, *window))
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) - 1                            # mostly negative: a padding of zeros would win
    size, stride, padding, ceil_mode = window
    judge(lambda x: oracle.nhwc(F.max_pool2d(oracle.nchw(x), size, stride, padding, 1, ceil_mode)),
          ops.max_pool(x, *window), {"x": x}, rng, lambda dy: (ops.max_pool_backward(dy, x, *window),))
    judge(lambda x: oracle.nhwc(F.avg_pool2d(oracle.nchw(x), *window, count_include_pad)),
          ops.average_pool(x, *window, count_include_pad), {"x": x}, rng,
          lambda dy: (ops.average_pool_backward(dy, x.shape, *window, count_include_pad),))


@FEWER
@given(maps(), pool_windows(), st.integers(0, 99))
def test_the_first_of_equal_maxima_takes_the_gradient(ops, shape, window, seed):
    assume(fits(shape, *window))
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 2, shape).astype(float)
    size, stride, padding, ceil_mode = window
    judge(lambda x: oracle.nhwc(F.max_pool2d(oracle.nchw(x), size, stride, padding, 1, ceil_mode)),
          ops.max_pool(x, *window), {"x": x}, rng, lambda dy: (ops.max_pool_backward(dy, x, *window),))
    judge(lambda u: oracle.nchw(u).flatten(2).max(2).values, ops.global_max_pool(x), {"u": x}, rng,
          lambda dz: (ops.global_max_pool_backward(dz, x),))


def hard_sigmoid(input):
    """F.hardsigmoid and F.hardswish take 1/6 in float32, also for float64: they are right to 3e-8 only."""
    return F.relu6(input + 3) / 6


def hard_swish(input):
    return input * hard_sigmoid(input)


@FEWER
@given(maps(), st.integers(0, 99))
def test_activations(ops, shape, seed):
    rng = np.random.default_rng(seed)
    x = 4 * rng.standard_normal(shape)
    x.flat[0] = 8
    for op, theirs, options in (("silu", F.silu, {}), ("gelu", F.gelu, {}), ("hard_swish", hard_swish, {}),
                                ("gelu", lambda input: F.gelu(input, approximate="tanh"), {"approximate": True})):
        backward = getattr(ops, f"{op}_backward")
        judge(theirs, getattr(ops, op)(x, **options), {"input": x}, rng,
              lambda dy, backward=backward, options=options: (backward(dy, x, **options),))
    for op, theirs in (("relu6", F.relu6), ("hard_sigmoid", hard_sigmoid), ("tanh", torch.tanh)):
        y, backward = getattr(ops, op)(x), getattr(ops, f"{op}_backward")
        judge(theirs, y, {"input": x}, rng, lambda dy, y=y, backward=backward: (backward(dy, y),))


@FEWER
@given(maps(), st.lists(st.integers(1, 4), min_size=2, max_size=4), st.integers(1, 4), st.integers(0, 99))
def test_channels_put_together_taken_apart_and_shuffled(ops, shape, widths, groups, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal((*shape[:3], width)) for width in widths]
    named = dict(zip("abcd", parts, strict=False))
    y = ops.concat(*parts)
    judge(lambda **maps: torch.cat([*maps.values()], dim=3), y, named, rng,
          lambda dy: ops.concat_backward(dy, tuple(widths)))
    for ours, theirs in zip(ops.split(y, tuple(widths)), torch.tensor(y).split(widths, dim=3), strict=True):
        agree(ours, theirs)
    x = rng.standard_normal((*shape[:3], shape[3] * groups))
    judge(lambda x: oracle.nhwc(F.channel_shuffle(oracle.nchw(x), groups)), ops.channel_shuffle(x, groups), {"x": x},
          rng, lambda dy: (ops.channel_shuffle_backward(dy, groups),))


@EXAMPLES
@given(SIZES, st.integers(1, 9), st.floats(0, 0.9), st.integers(0, 99))
def test_dropout(ops, N, C, rate, seed):
    rng = np.random.default_rng(seed)
    x, mask = rng.standard_normal((N, C)), rng.random((N, C)) >= rate
    judge(lambda x: x * torch.tensor(mask) / (1 - rate), ops.dropout(x, mask, rate), {"x": x}, rng,
          lambda dy: (ops.dropout_backward(dy, mask, rate),))


@EXAMPLES
@given(SIZES, st.integers(2, 12), st.floats(0, 0.9), st.integers(0, 99))
def test_softmax_cross_entropy(ops, N, K, smoothing, seed):
    rng = np.random.default_rng(seed)
    logits, labels = 5 * rng.standard_normal((N, K)), rng.integers(K, size=N)
    judge(lambda x: F.cross_entropy(x, torch.tensor(labels), label_smoothing=smoothing),
          ops.softmax_cross_entropy(logits, labels, smoothing), {"x": logits}, rng,
          lambda dloss: (ops.softmax_cross_entropy_backward(dloss, logits, labels, smoothing),))
    p = ops.softmax(logits)
    judge(lambda x: x.softmax(1), p, {"x": logits}, rng, lambda dp: (ops.softmax_backward(dp, p),))


@pytest.mark.parametrize("nesterov", [True, False])
def test_sgd_follows_pytorch_for_ten_steps(ops, nesterov):
    rng = np.random.default_rng(0)
    w = rng.standard_normal((3, 4))
    theirs, v = oracle.tensor(w), np.zeros_like(w)
    optimizer = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov)
    for _ in range(10):
        dw = rng.standard_normal(w.shape)
        theirs.grad = torch.tensor(dw)
        optimizer.step()
        w, v = ops.sgd(w, dw, v, 0.1, 0.9, 0.01, nesterov)
        agree(w, theirs)


@pytest.mark.slow
@settings(deadline=None, max_examples=200, derandomize=True)
@given(N=st.integers(2, 3), H=st.integers(5, 9), W=st.integers(5, 9), reduction=st.sampled_from([1, 2, 4]),
       widths=st.tuples(*[st.integers(4, 6)] * 3).map(sorted), bias=st.booleans(), seed=st.integers(0, 99),
       placement=st.sampled_from(["standard", "pre", "post", "identity"]), plain=st.booleans(),
       shortcut=st.sampled_from(["projection", "identity"]), smoothing=st.sampled_from([0.0, 0.1]))
def test_se_resnet20(ops, N, H, W, reduction, widths, bias, seed, placement, plain, shortcut, smoothing):
    rng = np.random.default_rng(seed)
    network = models.build("resnet20" if plain else "se_resnet20", reduction=reduction, bias=bias, placement=placement,
                           shortcut=shortcut, widths=widths, min_hidden=2, seed=seed).astype(np.float64)
    network.update({name: w + 0.1 * rng.standard_normal(w.shape) for name, w in network.named_parameters().items()})
    x, labels = rng.standard_normal((N, H, W, 3)), rng.integers(10, size=N)

    with backend.using_edition(ops):
        logits, backward = network(x)
        loss = ops.softmax_cross_entropy(logits, labels, smoothing)
        dx, gradients = backward(ops.softmax_cross_entropy_backward(1.0, logits, labels, smoothing))

    tensors = {name: oracle.tensor(w) for name, w in network.named_parameters().items()}
    image = oracle.tensor(x)
    expected = F.cross_entropy(oracle.se_resnet(tensors, image, placement), torch.tensor(labels),
                               label_smoothing=smoothing)
    expected.backward()
    agree(loss, expected)
    agree(dx, image.grad)
    assert gradients.keys() == tensors.keys()
    for name, gradient in gradients.items():
        agree(gradient, tensors[name].grad)
