"""Tiny random models of many families, and a slow float64 oracle for every statistic."""

import math

import numpy as np
import pytest
import torch
import transformers as T

from companion.models import Model, find_parts
from companion.runtime import Runtime

V, T_BLOCK, BLOCKS = 96, 12, 3
BASE = {
    "vocab_size": V,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
WIDE = BASE | {"intermediate_size": 48}
GQA = WIDE | {"num_key_value_heads": 2, "pad_token_id": None}
HEAD = GQA | {"head_dim": 8}
GPT = {"vocab_size": V, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
SLIDING = {"sliding_window": 8}
MOE = {"num_experts": 4, "num_experts_per_tok": 2}
LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
DEEPSEEK = {
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "first_k_dense_replace": 1,
}
FAMILIES = {
    "biogpt": ("BioGptConfig", WIDE),
    "bloom": ("BloomConfig", {"vocab_size": V, "hidden_size": 32, "n_layer": 3, "n_head": 4}),
    "codegen": ("CodeGenConfig", GPT | {"rotary_dim": 4}),
    "cohere": ("CohereConfig", GQA | {"logit_scale": 0.25}),
    "cohere2": ("Cohere2Config", GQA | SLIDING | {"logit_scale": 0.25}),
    "deepseek_v3": ("DeepseekV3Config", WIDE | DEEPSEEK | {"num_key_value_heads": 4}),
    "falcon": ("FalconConfig", BASE),
    "falcon_new": ("FalconConfig", BASE | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "gemma": ("GemmaConfig", HEAD),
    "gemma2": ("Gemma2Config", HEAD | SLIDING | {"final_logit_softcapping": 2.0}),
    "gemma3": ("Gemma3TextConfig", HEAD | SLIDING),
    "glm4": ("Glm4Config", HEAD),
    "gpt2": ("GPT2Config", GPT),
    "gpt_bigcode": ("GPTBigCodeConfig", GPT),
    "gpt_neo": (
        "GPTNeoConfig",
        {
            "vocab_size": V,
            "hidden_size": 32,
            "num_layers": 3,
            "num_heads": 4,
            "max_position_embeddings": 64,
            "attention_types": [[["global", "local", "global"], 1]],
            "window_size": 8,
        },
    ),
    "gpt_neox": ("GPTNeoXConfig", WIDE),
    "gpt_oss": ("GptOssConfig", HEAD | LOCAL | SLIDING),
    "gptj": ("GPTJConfig", GPT | {"rotary_dim": 4}),
    "granite": ("GraniteConfig", GQA | {"logits_scaling": 8.0, "residual_multiplier": 0.5}),
    "granitemoe": ("GraniteMoeConfig", GQA | LOCAL | {"logits_scaling": 4.0}),
    "jamba": (
        "JambaConfig",
        GQA
        | {"num_experts": 2, "attn_layer_offset": 1, "attn_layer_period": 2}
        | {"mamba_dt_rank": 4, "use_mamba_kernels": False},
    ),
    "lfm2": ("Lfm2Config", GQA | {"layer_types": ["conv", "full_attention", "conv"]}),
    "llama": ("LlamaConfig", GQA),
    "mistral": ("MistralConfig", GQA | SLIDING),
    "mixtral": ("MixtralConfig", GQA | LOCAL),
    "mpt": (
        "MptConfig",
        {"vocab_size": V, "d_model": 32, "n_layers": 3, "n_heads": 4, "max_seq_len": 64},
    ),
    "nemotron": ("NemotronConfig", GQA),
    "olmo": ("OlmoConfig", GQA),
    "olmo2": ("Olmo2Config", GQA),
    "olmoe": ("OlmoeConfig", GQA | MOE),
    "opt": ("OPTConfig", BASE | {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "opt_350m_style": (
        "OPTConfig",
        BASE | {"ffn_dim": 48, "word_embed_proj_dim": 16, "do_layer_norm_before": False},
    ),
    "persimmon": ("PersimmonConfig", WIDE),
    "phi": ("PhiConfig", WIDE),
    "phi3": ("Phi3Config", GQA),
    "qwen2": ("Qwen2Config", GQA),
    "qwen3": ("Qwen3Config", HEAD),
    "qwen3_5": (
        "Qwen3_5TextConfig",
        HEAD
        | {"layer_types": ["linear_attention", "full_attention", "linear_attention"]}
        | {"linear_key_head_dim": 8, "linear_value_head_dim": 8}
        | {"linear_num_key_heads": 2, "linear_num_value_heads": 4},
    ),
    "qwen3_moe": ("Qwen3MoeConfig", HEAD | MOE | {"moe_intermediate_size": 16}),
    "smollm3": ("SmolLM3Config", GQA),
    "stablelm": ("StableLmConfig", GQA),
    "starcoder2": ("Starcoder2Config", GQA),
    "xglm": (
        "XGLMConfig",
        {"vocab_size": V, "d_model": 32, "num_layers": 3, "attention_heads": 4, "ffn_dim": 48},
    ),
}


def build(family, dtype="float32", **changes):
    name, options = FAMILIES[family]
    torch.manual_seed(0)
    config = getattr(T, name)(**{**options, **changes})
    runtime = Runtime.choose("cpu", dtype)
    net = T.AutoModelForCausalLM.from_config(config).to(runtime.torch_dtype)
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim > 1:
                weight.mul_(4)
            else:
                weight.add_(0.1 * torch.randn_like(weight))
    return Model.of(net, runtime, name=family)


@pytest.fixture(scope="session")
def build_model():
    return build


@pytest.fixture(params=sorted(FAMILIES))
def family(request):
    return request.param


@pytest.fixture(scope="session")
def llama():
    return build("llama")


@pytest.fixture
def tokens():
    return draw_tokens()


def draw_tokens(blocks=BLOCKS, length=T_BLOCK, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, V, (blocks, length), generator=generator)


@pytest.fixture(scope="session")
def draw():
    return draw_tokens


@pytest.fixture(scope="session")
def oracle():
    return slow_values


def slow_values(model, tokens):
    """Every quantity, (layer, token), from the model's own forward passes and plain loops.

    States are the library's own `hidden_states` (raw but for the last, caught by a hook). A lens
    at layer l is the model's own logits with the blocks l .. ell-2 (last-block lens) or
    l .. ell-1 (logit lens) turned into the identity.
    """
    parts = find_parts(model)
    with torch.no_grad():
        states = raw_states(model, tokens)
        values = path_loop(states) | (part_norms(model, tokens, parts) if parts else {})
        final = skipped_logits(model, tokens, range(0))
        for suffix, last in (("", model.ell - 1), ("_logit", model.ell)):
            layers = range(model.ell if suffix == "" else model.ell + 1)
            logits = [skipped_logits(model, tokens, range(layer, last)) for layer in layers]
            values |= lens_loop(logits, final, tokens, suffix)
    return values


def raw_states(model, tokens):
    last = []
    hook = model.blocks[-1].register_forward_hook(lambda *seen: last.append(seen[-1]))
    output = model.net(input_ids=tokens, output_hidden_states=True, use_cache=False)
    hook.remove()
    raw = last[0] if isinstance(last[0], torch.Tensor) else last[0][0]
    states = [*output.hidden_states[: model.ell], raw]
    return torch.stack(states).flatten(1, 2).double().numpy()


def skipped_logits(model, tokens, skipped):
    returns_tuple = []
    hook = model.blocks[0].register_forward_hook(
        lambda *seen: returns_tuple.append(isinstance(seen[-1], tuple))
    )
    model.net(input_ids=tokens, use_cache=False)
    hook.remove()

    def identity(hidden_states, *args, **kwargs):
        return (hidden_states, None) if returns_tuple[0] else hidden_states

    for layer in skipped:
        model.blocks[layer].forward = identity
    try:
        return model.net(input_ids=tokens, use_cache=False).logits.double().numpy()
    finally:
        for layer in skipped:
            del model.blocks[layer].forward


def part_norms(model, tokens, parts):
    """Lengths of the two parts of each update, (layer, token): what a block adds when its
    feed-forward part is put to zero is the attention part, the rest of its update the other."""
    lengths = {"attention_norm": [], "mlp_norm": []}

    def zero(module, args, output):
        if isinstance(output, torch.Tensor):
            return torch.zeros_like(output)
        return torch.zeros_like(output[0]), *output[1:]

    with torch.no_grad():
        for block in model.blocks:
            seen = []
            watch = block.register_forward_hook(
                lambda *call, seen=seen: seen.append(call[1:]), with_kwargs=True
            )
            model.states(tokens)
            handle = getattr(block, parts.mlp).register_forward_hook(zero)
            model.states(tokens)
            handle.remove()
            watch.remove()
            whole, attention = (update_of(*call) for call in seen)
            lengths["attention_norm"].append(attention.norm(dim=-1).flatten())
            lengths["mlp_norm"].append((whole - attention).norm(dim=-1).flatten())
    return {name: torch.stack(rows).double().numpy() for name, rows in lengths.items()}


def update_of(args, kwargs, output):
    entered = args[0] if args else kwargs["hidden_states"]
    return (output if isinstance(output, torch.Tensor) else output[0]) - entered


def path_loop(states):
    count, tokens, _ = states.shape
    ell = count - 1
    norm = np.linalg.norm
    shapes = {"norm": ell + 1, "update_norm": ell, "theta": ell, "theta_dh": ell - 1}
    shapes |= {"theta_end": ell, "projection": ell + 1, "curvature": ell - 1}
    values = {name: np.empty((layers, tokens)) for name, layers in shapes.items()}
    values["straightness"] = np.empty((1, tokens))
    values["cosines"] = np.empty((ell, ell, tokens))
    for t in range(tokens):
        h = states[:, t]
        dh = [h[layer + 1] - h[layer] for layer in range(ell)]
        way = h[-1] - h[0]
        for layer in range(ell + 1):
            values["norm"][layer, t] = norm(h[layer])
            values["projection"][layer, t] = (h[layer] - h[0]) @ way / (way @ way)
        for layer in range(ell):
            values["update_norm"][layer, t] = norm(dh[layer])
            values["theta"][layer, t] = angle(h[layer], h[layer + 1])
            values["theta_end"][layer, t] = angle(h[layer], h[-1])
            for other in range(ell):
                values["cosines"][layer, other, t] = math.cos(angle(dh[layer], dh[other]))
        for layer in range(ell - 1):
            turn = angle(dh[layer], dh[layer + 1])
            step = (norm(dh[layer]) + norm(dh[layer + 1])) / 2
            values["theta_dh"][layer, t] = turn
            values["curvature"][layer, t] = turn / step
        values["straightness"][0, t] = norm(way) / sum(norm(x) for x in dh)
    return values


def angle(a, b):
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return math.acos(min(1.0, max(-1.0, cosine)))


def lens_loop(logits, final, tokens, suffix):
    names = ("cross_entropy", "entropy", "kl", "top1")
    values = {name + suffix: np.full((len(logits), tokens.numel()), np.nan) for name in names}
    length = tokens.shape[1]
    for layer, block, t in np.ndindex(len(logits), len(tokens), length - 1):
        log_p, log_q = log_softmax(logits[layer][block, t]), log_softmax(final[block, t])
        place = layer, block * length + t
        values["cross_entropy" + suffix][place] = -log_p[tokens[block, t + 1]]
        values["entropy" + suffix][place] = -(np.exp(log_p) * log_p).sum()
        values["kl" + suffix][place] = (np.exp(log_q) * (log_q - log_p)).sum()
        values["top1" + suffix][place] = log_p.argmax() == log_q.argmax()
    ce = values["cross_entropy" + suffix]
    values["loss_removed" + suffix] = ce[:-1] - ce[1:]
    return values


def log_softmax(x):
    x = x - x.max()
    return x - np.log(np.exp(x).sum())
