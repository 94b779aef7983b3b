"""Tiny random models of many decoder families of transformers: three blocks, 32 channels."""

from __future__ import annotations

import torch
import transformers

from companion.models import Model
from companion.runtime import Runtime

V = 96
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


OTHERS = {
    "apertus": ("ApertusConfig", GQA),
    "arcee": ("ArceeConfig", GQA),
    "bert": ("BertConfig", WIDE),
    "bamba": (
        "BambaConfig",
        GQA | {"attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 8},
    ),
    "deepseek_v2": ("DeepseekV2Config", WIDE | DEEPSEEK | {"num_key_value_heads": 4}),
    "ernie4_5": ("Ernie4_5Config", HEAD),
    "exaone4": ("Exaone4Config", GQA | SLIDING),
    "falcon_h1": (
        "FalconH1Config",
        GQA | {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8},
    ),
    "falcon_mamba": (
        "FalconMambaConfig",
        {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 3},
    ),
    "glm": ("GlmConfig", HEAD),
    "granitemoehybrid": (
        "GraniteMoeHybridConfig",
        GQA
        | LOCAL
        | {"layer_types": ["mamba", "attention", "mamba"], "mamba_n_heads": 8, "mamba_d_head": 8},
    ),
    "helium": ("HeliumConfig", HEAD),
    "hunyuan_v1_dense": ("HunYuanDenseV1Config", HEAD),
    "mamba": ("MambaConfig", {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 3}),
    "mamba2": (
        "Mamba2Config",
        {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 3, "num_heads": 8, "head_dim": 8},
    ),
    "minimax": ("MiniMaxConfig", HEAD | LOCAL),
    "nemotron_h": ("NemotronHConfig", HEAD),
    "phimoe": ("PhimoeConfig", GQA | LOCAL),
    "qwen2_moe": ("Qwen2MoeConfig", GQA | MOE | {"moe_intermediate_size": 16}),
    "qwen3_next": ("Qwen3NextConfig", HEAD | MOE | {"moe_intermediate_size": 16}),
    "recurrent_gemma": ("RecurrentGemmaConfig", GQA | {"lru_width": 32}),
    "rwkv": ("RwkvConfig", {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 3}),
    "seed_oss": ("SeedOssConfig", HEAD),
    "zamba": ("ZambaConfig", GQA | {"use_mamba_kernels": False}),
    "zamba2": (
        "Zamba2Config",
        GQA | {"use_mem_eff_path": False, "layer_types": ["mamba", "hybrid", "mamba"]},
    ),
}
"""Families that are tried beside those that the tests hold to the oracle."""


def build(family: str, dtype: str = "float32", **changes) -> Model:
    """A model of the family with weights large enough that every part matters."""
    name, options = (FAMILIES | OTHERS)[family]
    torch.manual_seed(0)
    config = getattr(transformers, name)(**{**options, **changes})
    runtime = Runtime.choose("cpu", dtype)
    net = transformers.AutoModelForCausalLM.from_config(config).to(runtime.torch_dtype)
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim > 1:
                weight.mul_(4)
            else:
                weight.add_(0.1 * torch.randn_like(weight))
    return Model.of(net, runtime, name=family)
