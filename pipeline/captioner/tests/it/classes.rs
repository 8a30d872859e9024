use glass_captioner::{Vocabulary, flags, open_classes, prompt};

fn names(vocabulary: &str, caption: &str) -> Vec<String> {
    let found = Vocabulary::load(vocabulary).unwrap().classes_in(caption);
    found.into_iter().map(|class| class.name).collect()
}

#[test]
fn plurals_synonyms_and_compounds_are_found_in_the_order_of_mention() {
    assert_eq!(names("coco", "Two men eating hot dogs on a bench with a dog."), ["person", "hot dog", "bench", "dog"]);
    assert_eq!(names("voc", "buses and a woman's bike"), ["bus", "person", "bicycle"]);
    assert_eq!(names("coco", "knives, wine glasses and mice"), ["knife", "wine glass", "mouse"]);
    assert_eq!(names("voc", "a puppy, a dog and a puppy"), ["dog"]);
    assert_eq!(names("voc", "sheep on a TV monitor"), ["sheep", "tv monitor"]);
}

#[test]
fn a_phrase_that_only_contains_a_name_is_no_class() {
    assert!(names("voc", "an empty train station and train tracks").is_empty());
    assert_eq!(names("coco", "a teddy bear"), ["teddy bear"]);
    assert!(names("voc", "this is his gas mask").is_empty());
}

#[test]
fn every_vocabulary_finds_its_own_names_and_has_its_published_size() {
    for (vocabulary, size) in [("voc", 20), ("coco", 80), ("scenes", 12)] {
        let loaded = Vocabulary::load(vocabulary).unwrap();
        assert_eq!(loaded.classes().len(), size);
        for (class, id) in loaded.classes().iter().zip(1..) {
            assert_eq!(class.id, id);
            assert_eq!(loaded.classes_in(&class.name), std::slice::from_ref(class), "{vocabulary}");
        }
    }
    assert_eq!(names("coco", "sports balls"), ["sports ball"]);
}

#[test]
fn a_vocabulary_that_is_no_file_or_says_two_things_is_refused() {
    let missing = Vocabulary::load("vco").unwrap_err().to_string();
    assert!(missing.contains("`vco`") && missing.contains("scenes"), "{missing}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    std::fs::write(&path, "name = \"x\"\n[[class]]\nname = \"a\"\n[[class]]\nname = \"b\"\nalso = [\"a\"]").unwrap();
    let twice = Vocabulary::load(path.to_str().unwrap()).unwrap_err().to_string();
    assert!(twice.contains("`a` means both"), "{twice}");
}

#[test]
fn open_classes_are_the_head_nouns_numbered_per_image() {
    let found = open_classes("a photo of two red foxes and a wooden fence on the snow");
    let found: Vec<_> = found.iter().map(|class| (class.id, class.name.as_str())).collect();
    assert_eq!(found, [(1, "fox"), (2, "fence"), (3, "snow")]);
    assert!(open_classes("").is_empty());
}

#[test]
fn looping_and_empty_captions_are_flagged() {
    assert_eq!(flags("..."), ["empty"]);
    assert_eq!(flags("a dog dog dog"), ["repeated-words"]);
    assert_eq!(flags("a cat and a cat and a cat and a cat and"), ["repeated-words"]);
    assert!(flags("a dog and a dog on a dog bed").is_empty());
}

#[test]
fn the_prompt_appends_the_class_names() {
    let classes = Vocabulary::load("scenes").unwrap().classes_in("a cat and two dogs");
    assert_eq!(prompt("a cat and two dogs", &classes), "a cat and two dogs; cat dog");
    assert_eq!(prompt("nothing", &[]), "nothing");
}
