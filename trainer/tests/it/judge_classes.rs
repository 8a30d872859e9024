//! `trainer evaluate --masks --level semantic|components`: maps of classes.

use std::process::Command;

use image::GrayImage;
use serde_json::Value;

use crate::given_masks::{Case, PIXELS, contains, npy, perfect, value};
use crate::toy::SIDE;

/// The class of every object: 1 for red, 2 for blue.
fn class_masks(case: &Case, count: u32, values: [u8; 2]) {
    for index in 0..count {
        let class = |label| match label {
            5 => values[0],
            9 => values[1],
            other => other,
        };
        let labels = Case::labels(index).into_iter().map(class).collect();
        GrayImage::from_raw(SIDE, SIDE, labels).unwrap().save(case.path(&format!("{index}.png"))).unwrap();
    }
}

fn semantic(numbers: &[Value], metric: &str) -> f64 {
    let found = numbers.iter().find(|number| number["metric"] == metric).unwrap();
    assert_eq!(found["protocol"], "semantic");
    found["value"].as_f64().unwrap()
}

#[test]
fn class_masks_are_judged_class_by_class() {
    let case = Case::new(3);
    class_masks(&case, 3, [1, 2]);
    let level = ["--level", "semantic"];
    let exact = case.numbers("", &level);
    for metric in ["miou", "miou_without_background", "iou/red", "iou/blue", "iou/background", "judged_pixels"] {
        assert_eq!(semantic(&exact, metric), 1.0, "{metric}");
    }
    // In one of three pictures the red square is called blue, in another half of the pixels are undecided.
    class_masks(&case, 1, [2, 2]);
    let mut half =
        Case::labels(1).iter().map(|&label| [0, 1, 2][usize::from(label / 5 + label / 9)]).collect::<Vec<u8>>();
    assert!(half.contains(&2));
    half[PIXELS / 2..].fill(255);
    GrayImage::from_raw(SIDE, SIDE, half).unwrap().save(case.path("1.png")).unwrap();
    let found = case.numbers("", &level);
    assert_eq!(semantic(&found, "judged_pixels"), 1.0 - 0.5 / 3.0);
    let red = [0, 1, 2].map(|index| Case::labels(index).iter().filter(|&&label| label == 5).count());
    let upper = Case::labels(1)[..PIXELS / 2].iter().filter(|&&label| label == 5).count();
    let expected = (upper + red[2]) as f64 / (red[0] + upper + red[2]) as f64;
    assert!((semantic(&found, "iou/red") - expected).abs() < 1e-12);
    assert_eq!(semantic(&found, "iou/background"), 1.0);
}

#[test]
fn a_class_list_says_which_value_is_which_class() {
    let case = Case::new(2);
    class_masks(&case, 2, [40, 7]);
    let message = case.refused("", &["--level", "semantic"]);
    contains(&message, &["`0.png`", "the value 7", "--classes"]);
    case.write("classes.txt", b"# other numbers\n0 background\n40 Red\n7 blue\n");
    let list = case.path("classes.txt");
    let level = ["--level", "semantic", "--classes", list.to_str().unwrap()];
    assert_eq!(semantic(&case.numbers("", &level), "miou"), 1.0);
    case.write("classes.txt", b"40 green\n");
    contains(&case.refused("", &level), &["line 1", "`green`", "`red`, `blue`"]);
    case.write("classes.txt", b"40 red\n40 blue\n");
    contains(&case.refused("", &level), &["line 2", "a second time"]);
    contains(&case.refused("", &level[2..]), &["--classes", "semantic"]);
    contains(&case.refused("", &["--level", "semantic", "--protocol", "spot"]), &["`--protocol`", "discovery"]);
}

#[test]
fn connected_parts_of_a_class_are_objects() {
    let case = Case::new(3);
    // Both squares are of one class: as one segment they miss each other's object, as parts they are exact.
    class_masks(&case, 3, [1, 1]);
    let (as_classes, _) = value(&case.numbers("", &["--protocol", "spot"]), "spot", "mbo_i");
    assert!(as_classes < 0.7, "{as_classes}");
    perfect(&case.numbers("", &["--level", "components"]), 3);
    // Undecided pixels go to the ground.
    let labels = Case::labels(0).into_iter().map(|label| if label == 0 { 255 } else { 1 }).collect();
    GrayImage::from_raw(SIDE, SIDE, labels).unwrap().save(case.path("0.png")).unwrap();
    perfect(&case.numbers("", &["--level", "components"]), 3);
    let soft: Vec<u8> = [0.5_f32; 2 * 16 * 16].iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::remove_file(case.path("0.png")).unwrap();
    case.write("0.npy", &npy("<f4", "2, 16, 16", &soft));
    contains(&case.refused("", &["--level", "components"]), &["`0.png`", "soft masks"]);
}

/// Pictures beside class maps, as a set of label maps is unpacked; 255 is undecided.
#[test]
fn class_masks_are_judged_against_class_maps() {
    let case = Case::new(2);
    let set = case.path("set");
    for folder in ["images", "classes"] {
        std::fs::create_dir_all(set.join(folder)).unwrap();
    }
    class_masks(&case, 2, [1, 2]);
    for index in 0..2 {
        let name = format!("{index}.png");
        std::fs::copy(case.data.folder().join(&name), set.join("images").join(&name)).unwrap();
        let mut map = image::open(case.path(&name)).unwrap().into_luma8();
        // The upper quarter is undecided, and what the masks say there does not matter.
        map.iter_mut().take(PIXELS / 4).for_each(|label| *label = 255);
        map.save(set.join("classes").join(&name)).unwrap();
    }
    let truth = set.display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(["evaluate", "--level", "semantic", "--json", "-", "--annotations", &truth, "--masks"])
        .arg(case.masks.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((semantic(&numbers, "judged_pixels"), semantic(&numbers, "miou")), (0.75, 1.0));
    let names: Vec<&str> =
        numbers.iter().filter_map(|number| number["metric"].as_str()?.strip_prefix("iou/")).collect();
    assert_eq!(names, ["background", "class 1", "class 2"]);
}
