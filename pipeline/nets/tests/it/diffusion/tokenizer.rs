use glass_nets::clip::{ClipTokenizer, class_prompt, joint_class_prompt};
use serde_json::Value;

use crate::golden::{goldens, mini};

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn token_ids_equal_transformers() {
    let golden: Value =
        serde_json::from_str(&std::fs::read_to_string(goldens("diffusion/tokenizer.json")).unwrap()).unwrap();
    // The same tokenizer as one file, as newer checkpoints have it.
    let whole = tempfile::tempdir().unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        let from = mini("stable-diffusion/tokenizer").join(file);
        std::fs::copy(from, whole.path().join(file)).unwrap();
    }
    for (case, folder) in [
        ("mini", mini("stable-diffusion/tokenizer")),
        ("mini", whole.path().to_owned()),
        ("pad-bang", goldens("diffusion/tokenizer-pad-bang")),
    ] {
        let tokenizer = ClipTokenizer::load(folder).unwrap();
        let pad = golden["cases"][case]["pad"].as_u64().unwrap() as u32;
        let rows = golden["cases"][case]["ids"].as_array().unwrap();
        for (prompt, row) in golden["prompts"].as_array().unwrap().iter().zip(rows) {
            let prompt = prompt.as_str().unwrap();
            let mut expected = ids(row);
            expected.resize(77, pad);
            assert_eq!(tokenizer.encode(prompt).unwrap().ids, expected, "{case}: {prompt:?}");
        }
        let short = tokenizer.with_max_length(7).encode("").unwrap();
        assert_eq!(short.ids, ids(&golden["cases"][case]["short"]));
    }
}

#[test]
fn class_words_are_found_where_they_stand() {
    let tokenizer = ClipTokenizer::load(mini("stable-diffusion/tokenizer")).unwrap();
    let (_, positions) = class_prompt(&tokenizer, "a photo of a {class}", "cat").unwrap();
    assert_eq!(positions, [5]);
    // "a" occurs in the template too: positions follow the bytes, not the ids.
    let (prompt, positions) = class_prompt(&tokenizer, "a photo of a {class} here", "a").unwrap();
    assert_eq!((positions.as_slice(), prompt.ids[1] == prompt.ids[5]), ([5].as_slice(), true));
    let names = ["cat", "tv monitor", "dog"].map(str::to_owned);
    let (prompt, positions) = joint_class_prompt(&tokenizer, &names).unwrap();
    assert_eq!(positions.concat(), (1..prompt.length() - 1).collect::<Vec<_>>());
    assert!(positions[1].len() >= 2);
    assert!(class_prompt(&tokenizer, "no placeholder", "cat").is_err());
    assert!(class_prompt(&tokenizer, &"word ".repeat(90).replace("word 9", "{class}"), "cat").is_err());
}
