//! Configurations that cannot be used, and keys that are missing.

use std::path::Path;

use glass_nets::blip::{BlipConfig, BlipModel};
use glass_nets::blip2::{Blip2, Blip2Config, Blip2Model, LanguageConfig};
use glass_nets::config::parse;
use glass_nets::generate::GenerateOptions;
use glass_nets::t5::{T5Config, T5Encoder};
use glass_nets::tokenizer::{TextTokenizer, TokenizerKind};
use glass_nets::{Captioner, NetsError};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::searches::read;
use crate::support::{device, goldens, noise};

/// A copy of a checkpoint with one value of its configuration changed.
fn changed(checkpoint: &str, pointer: &str, value: Value) -> TempDir {
    let (from, to) = (goldens().join(checkpoint), TempDir::new().unwrap());
    for entry in std::fs::read_dir(&from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    let mut config: Value = read(from.join("config.json"));
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(parent).unwrap()[field] = value;
    std::fs::write(to.path().join("config.json"), config.to_string()).unwrap();
    to
}

fn field_and_message(error: NetsError) -> (String, String) {
    match error {
        NetsError::Config { field, message, .. } => (field, message),
        other => (String::new(), other.to_string()),
    }
}

#[test]
fn a_value_that_cannot_be_used_is_refused_by_its_field() {
    let cases = [
        ("/text_config/model_type", json!("llama"), "expected `opt` or `t5`"),
        ("/text_config/feed_forward_proj", json!("half-gelu"), "gated-gelu"),
        ("/text_config/feed_forward_proj", json!("gated-tanh"), "gated-gelu"),
        ("/text_config/dense_act_fn", json!("tanh"), "unknown variant"),
        ("/text_config/num_heads", json!(0), "there must be a head"),
        ("/text_config/relative_attention_num_buckets", json!(2), "at least 4"),
        ("/text_config/relative_attention_max_distance", json!(3), "half the number"),
        ("/text_config/d_model", json!("wide"), "invalid type"),
        ("/vision_config/patch_size", json!(7), "do not divide"),
    ];
    for (pointer, value, expected) in cases {
        let folder = changed("blip2-t5/flan", pointer, value);
        let error = Blip2Model::load(folder.path(), &device()).unwrap_err();
        let (field, message) = field_and_message(error);
        assert_eq!(field, pointer[1..].replace('/', "."));
        assert!(message.contains(expected), "{pointer}: {message}");
    }
    let cases = [
        ("/text_config/is_decoder", json!(false), "does not look at the image"),
        ("/text_config/num_attention_heads", json!(7), "40 channels"),
        ("/vision_config/num_attention_heads", json!(0), "0 heads"),
        ("/text_config/hidden_act", json!("tanh"), "unknown variant"),
    ];
    for (pointer, value, expected) in cases {
        let folder = changed("blip/base", pointer, value);
        let error = BlipModel::load(folder.path(), &device()).unwrap_err();
        let (field, message) = field_and_message(error);
        assert_eq!(field, pointer[1..].replace('/', "."));
        assert!(message.contains(expected), "{pointer}: {message}");
    }
    let folder = changed("t5/silu", "/model_type", json!("mt5"));
    let error = T5Encoder::load(folder.path(), &device()).unwrap_err();
    assert_eq!(field_and_message(error).0, "model_type");
}

#[test]
fn missing_keys_have_the_defaults_of_transformers() {
    let origin = Path::new("config.json");
    let t5: T5Config = parse("{}", origin).unwrap();
    assert_eq!((t5.vocab_size, t5.d_model, t5.d_kv, t5.d_ff), (32128, 512, 64, 2048));
    assert_eq!((t5.num_layers, t5.decoder_layers(), t5.num_heads), (6, 6, 8));
    assert_eq!(t5.feed_forward_proj, "relu");
    let blip: BlipConfig = parse("{}", origin).unwrap();
    assert_eq!(blip.text_config.num_attention_heads, 8);
    assert_eq!((blip.text_config.bos_token_id, blip.text_config.vocab_size), (30522, 30524));
    assert_eq!((blip.vision_config.image_size, blip.vision_config.layer_norm_eps), (384, 1e-5));
    let blip2: Blip2Config = parse(r#"{"text_config": {"model_type": "t5"}}"#, origin).unwrap();
    assert!(matches!(blip2.text_config, LanguageConfig::T5(t5) if t5.d_model == 512));
    let blip2: Blip2Config = parse(r#"{"text_config": {"vocab_size": 9}}"#, origin).unwrap();
    assert!(matches!(blip2.text_config, LanguageConfig::Opt(opt) if opt.vocab_size == 9));
}

#[test]
fn weights_of_another_network_are_refused_by_name() {
    let folder = changed("blip2-t5/flan", "/text_config/num_decoder_layers", json!(1));
    let error = Blip2Model::load(folder.path(), &device()).unwrap_err();
    assert!(error.to_string().contains("decoder.block.1"), "{error}");
    let folder = changed("blip/base", "/text_config/num_hidden_layers", json!(3));
    let error = BlipModel::load(folder.path(), &device()).unwrap_err();
    assert!(error.to_string().contains("encoder.layer.2"), "{error}");
}

#[test]
fn a_sentencepiece_model_alone_is_refused_with_advice() {
    let folder = changed("blip2-t5/flan", "/model_type", json!("blip-2"));
    std::fs::rename(folder.path().join("tokenizer.json"), folder.path().join("spiece.model")).unwrap();
    let error = Blip2::load(folder.path(), &device()).unwrap_err();
    assert!(error.to_string().contains("`spiece.model` alone"), "{error}");
    assert!(error.hint().unwrap().contains("save_pretrained"));
    let error = TextTokenizer::load(folder.path(), TokenizerKind::Bert).unwrap_err();
    assert!(error.to_string().contains("vocab.txt"), "{error}");
}

#[test]
fn a_captioner_is_loaded_by_its_model_type() {
    let load = |folder: &Path| Captioner::load(folder, &device());
    let blip = load(&goldens().join("blip/wide")).unwrap();
    assert!(matches!(blip, Captioner::Blip(_)));
    for name in ["blip2/sparse", "blip2-t5/flan"] {
        let blip2 = load(&goldens().join(name)).unwrap();
        assert!(matches!(blip2, Captioner::Blip2(_)));
    }
    for kind in [json!("git"), Value::Null] {
        let folder = changed("blip/base", "/model_type", kind);
        let (field, message) = field_and_message(load(folder.path()).unwrap_err());
        assert_eq!(field, "model_type");
        assert!(message.ends_with("expected `blip-2` or `blip`"), "{message}");
    }
}

#[test]
fn all_captioners_describe_pictures() {
    for name in ["blip/wide", "blip2-t5/first"] {
        let captioner = Captioner::load(goldens().join(name), &device()).unwrap();
        let captions = captioner.caption(noise([2, 3, 32, 32]), &GenerateOptions::default()).unwrap();
        assert_eq!(captions.len(), 2, "{name}");
    }
}
