//! What the tensors of a vision transformer are called.

use crate::weights::Scope;

/// The names of one way of saving.
#[derive(Debug)]
pub(super) struct Names {
    pub class_token: &'static str,
    pub positions: &'static str,
    pub registers: &'static str,
    pub patches: &'static str,
    pub blocks: &'static str,
    pub norm: &'static str,
    pub block: BlockNames,
    /// What belongs to other tasks.
    pub ignored: &'static [&'static str],
}

/// The names within a block.
#[derive(Debug)]
pub(super) struct BlockNames {
    pub norm1: &'static str,
    pub queries: Queries,
    pub projection: &'static str,
    pub scale1: &'static str,
    pub norm2: &'static str,
    pub mlp: [&'static str; 2],
    pub gated_mlp: [&'static str; 2],
    pub scale2: &'static str,
}

/// Queries, keys and values.
#[derive(Debug)]
pub(super) enum Queries {
    /// Three layers.
    Apart([&'static str; 3]),
    /// One layer whose output is the three side by side.
    Together(&'static str),
}

/// The original DINO and DINOv2, whose `.pth` files were turned into safetensors as they are.
const ORIGINAL: Names = Names {
    class_token: "cls_token",
    positions: "pos_embed",
    registers: "register_tokens",
    patches: "patch_embed.proj",
    blocks: "blocks",
    norm: "norm",
    block: BlockNames {
        norm1: "norm1",
        queries: Queries::Together("attn.qkv"),
        projection: "attn.proj",
        scale1: "ls1.gamma",
        norm2: "norm2",
        mlp: ["mlp.fc1", "mlp.fc2"],
        gated_mlp: ["mlp.w12", "mlp.w3"],
        scale2: "ls2.gamma",
    },
    ignored: &["mask_token", "head.*"],
};

const APART: Queries =
    Queries::Apart(["attention.attention.query", "attention.attention.key", "attention.attention.value"]);

/// transformers' `Dinov2Model`.
const DINOV2: Names = Names {
    class_token: "embeddings.cls_token",
    positions: "embeddings.position_embeddings",
    registers: "embeddings.register_tokens",
    patches: "embeddings.patch_embeddings.projection",
    blocks: "encoder.layer",
    norm: "layernorm",
    block: BlockNames {
        norm1: "norm1",
        queries: APART,
        projection: "attention.output.dense",
        scale1: "layer_scale1.lambda1",
        norm2: "norm2",
        mlp: ["mlp.fc1", "mlp.fc2"],
        gated_mlp: ["mlp.weights_in", "mlp.weights_out"],
        scale2: "layer_scale2.lambda1",
    },
    ignored: &["embeddings.mask_token"],
};

/// transformers' `ViTModel`.
const VIT: Names = Names {
    block: BlockNames {
        norm1: "layernorm_before",
        norm2: "layernorm_after",
        mlp: ["intermediate.dense", "output.dense"],
        ..DINOV2.block
    },
    ignored: &["embeddings.mask_token", "pooler.*"],
    ..DINOV2
};

/// The same as transformers 5 names it in memory.
const VIT_5: Names = Names {
    blocks: "layers",
    block: BlockNames {
        queries: Queries::Apart(["attention.q_proj", "attention.k_proj", "attention.v_proj"]),
        projection: "attention.o_proj",
        mlp: ["mlp.fc1", "mlp.fc2"],
        ..VIT.block
    },
    ..VIT
};

impl Names {
    /// The names that a file uses; those of the published files where it uses none of them.
    pub(super) fn of(scope: &Scope) -> &'static Self {
        const KNOWN: [&Names; 3] = [&ORIGINAL, &VIT, &VIT_5];
        let uses = |names: &&&Names| {
            let norm = format!("{}.0.{}.weight", names.blocks, names.block.norm1);
            scope.contains(names.class_token) && scope.contains(&norm)
        };
        KNOWN.iter().find(uses).copied().unwrap_or(&DINOV2)
    }
}
