//! Overlap, crowd, void and geometry rules.

use glass_metrics::{
    Annotation, Crowds, GroundTruth, IGNORE, Mask, Nearest, OVERLAP, Placement, PlacementRule, Protocol, RegionKind,
    Sampling,
};

use crate::maps::map;

fn annotation(category: u16, kind: RegionKind, bits: &str) -> Annotation {
    let bits: Vec<bool> = bits.chars().map(|bit| bit == '1').collect();
    Annotation { category, kind, mask: Mask::new(bits.len(), 1, bits).unwrap() }
}

fn scene() -> Vec<Annotation> {
    vec![
        annotation(9, RegionKind::Object, "111000"),
        annotation(4, RegionKind::Object, "011110"),
        annotation(2, RegionKind::Crowd, "000011"),
    ]
}

fn painted(protocol: &Protocol) -> (Vec<u16>, Vec<u16>) {
    let truth = GroundTruth::paint(protocol, &Sampling::whole(6, 1), &scene()).unwrap().unwrap();
    (truth.instances.labels().to_vec(), truth.semantics.labels().to_vec())
}

#[test]
fn each_protocol_paints_overlaps_and_crowds_its_own_way() {
    let (i, o) = (IGNORE, OVERLAP);
    assert_eq!(painted(&Protocol::glass_release()), (vec![1, 2, 2, 2, 2, 0], vec![2, 1, 1, 1, 1, 0]));
    assert_eq!(painted(&Protocol::spot()), (vec![1, i, i, 2, i, 3], vec![9, i, i, 4, i, 2]));
    assert_eq!(painted(&Protocol::oclf()), (vec![1, i, i, 2, 2, 0], vec![9, 9, 9, 4, 4, 0]));
    assert_eq!(painted(&Protocol::slotdiffusion()), (vec![1, o, o, 2, 2, 0], vec![2, o, o, 1, 1, 0]));
}

#[test]
fn pictures_with_a_crowd_can_be_left_out() {
    let whole = Sampling::whole(6, 1);
    let protocol = Protocol { crowds: Crowds::DropPicture, ..Protocol::spot() };
    assert_eq!(GroundTruth::paint(&protocol, &whole, &scene()).unwrap(), None);
    assert!(GroundTruth::paint(&protocol, &whole, &scene()[..2]).unwrap().is_some());
}

#[test]
fn an_annotation_of_another_size_is_refused() {
    assert!(GroundTruth::paint(&Protocol::spot(), &Sampling::whole(5, 1), &scene()).is_err());
}

#[test]
fn undecided_pixels_follow_the_protocol() {
    let void = |protocol: &Protocol| {
        let truth =
            GroundTruth::from_label_maps(protocol, &Sampling::whole(4, 1), &map("01f2"), &map("0f13"), 15).unwrap();
        (truth.instances.labels().to_vec(), truth.semantics.labels().to_vec())
    };
    assert_eq!(void(&Protocol::spot()), (vec![0, 1, 0, 2], vec![0, 0, 1, 3]));
    assert_eq!(void(&Protocol::oclf()), (vec![0, IGNORE, IGNORE, 2], vec![0, IGNORE, IGNORE, 3]));
    assert_eq!(void(&Protocol::slotdiffusion()).0, vec![0, OVERLAP, OVERLAP, 1]);
}

#[test]
fn nearest_rules_differ_where_the_libraries_do() {
    let row = map("01234");
    assert_eq!(row.resize(3, 1, Nearest::Corner).labels(), &[0, 1, 3]);
    assert_eq!(row.resize(3, 1, Nearest::Centre).labels(), &[0, 2, 4]);
    assert_eq!(row.resize(10, 1, Nearest::Corner).labels(), &[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
}

#[test]
fn nearest_pixels_are_those_of_opencv_pillow_and_torch() {
    let goldens: serde_json::Value = serde_json::from_str(include_str!("../goldens/nearest.json")).unwrap();
    let goldens = goldens.as_array().unwrap();
    for golden in goldens {
        let side = |name: &str| golden[name].as_u64().unwrap() as usize;
        let (source, target) = (side("source"), side("target"));
        let rule: Nearest = serde_json::from_value(golden["rule"].clone()).unwrap();
        let exact = |x: usize| match rule {
            Nearest::Corner => x * source / target,
            _ => (2 * x + 1) * source / (2 * target),
        };
        let mut expected: Vec<usize> = (0..target).map(exact).collect();
        for pair in golden["rounded"].as_array().unwrap() {
            expected[pair[0].as_u64().unwrap() as usize] = pair[1].as_u64().unwrap() as usize;
        }
        assert_eq!(rule.sources(target, source), expected, "{rule:?} {source} to {target}");
    }
    assert!(goldens.len() > 500);
}

#[test]
fn the_square_is_the_centre_of_the_picture() {
    let place = |width, height, left, top| Placement { width, height, left, top };
    let (rounded, truncated) = (PlacementRule::Rounded, PlacementRule::Truncated);
    assert_eq!(Placement::of(640, 480, 256, rounded), place(341, 256, 42, 0));
    assert_eq!(Placement::of(100, 300, 50, rounded), place(50, 150, 0, 50));
    assert_eq!(Placement::of(1, 1, 256, rounded), place(256, 256, 0, 0));
    // 426.67: GLASS rounds it, torchvision cuts it off; half of 107 rounds down, of 106 is exact.
    assert_eq!(Placement::of(640, 480, 320, rounded), place(427, 320, 53, 0));
    assert_eq!(Placement::of(640, 480, 320, truncated), place(426, 320, 53, 0));
    // Half of 3 goes to the even neighbour in torchvision, down in GLASS.
    assert_eq!(Placement::of(100, 103, 100, truncated), place(100, 103, 0, 2));
    assert_eq!(Placement::of(100, 103, 100, rounded), place(100, 103, 0, 1));
    let square = Sampling::square(&Protocol::glass_release(), 4, 2, 2);
    assert_eq!(map("0123 4567").sample(&square).unwrap().labels(), &[1, 2, 5, 6]);
    assert!(map("012 456").sample(&square).is_err());
}

#[test]
fn an_object_under_others_keeps_its_number_only_where_slotdiffusion_counts_it() {
    let scene =
        [("0110", 2), ("0010", 5), ("0001", 7)].map(|(bits, category)| annotation(category, RegionKind::Object, bits));
    let protocol = Protocol::slotdiffusion();
    let truth = GroundTruth::paint(&protocol, &Sampling::whole(4, 1), &scene).unwrap().unwrap();
    assert_eq!(truth.instances.labels(), &[0, 1, OVERLAP, 3]);
    let scores = protocol.score(&truth, &map("0123")).unwrap().instances.without_background;
    assert_eq!(scores.unwrap().objects, 3);
    let spot = Protocol::spot();
    let truth = GroundTruth::paint(&spot, &Sampling::whole(4, 1), &scene).unwrap().unwrap();
    let scores = spot.score(&truth, &map("0123")).unwrap().instances.without_background;
    assert_eq!(scores.unwrap().objects, 2);
}

#[test]
fn where_classes_overlap_oclf_takes_the_higher_one() {
    let scene = [("1110", 9), ("0111", 4)].map(|(bits, category)| annotation(category, RegionKind::Object, bits));
    for order in [[0, 1], [1, 0]] {
        let scene = order.map(|at: usize| scene[at].clone());
        let truth = GroundTruth::paint(&Protocol::oclf(), &Sampling::whole(4, 1), &scene);
        assert_eq!(truth.unwrap().unwrap().semantics.labels(), &[9, 9, 9, 4]);
    }
}

#[test]
fn every_shipped_protocol_has_the_id_it_is_asked_by() {
    for id in Protocol::SHIPPED {
        let protocol = Protocol::shipped(id).unwrap();
        assert_eq!(protocol.id, id);
        let text = serde_json::to_string(&protocol).unwrap();
        assert_eq!(serde_json::from_str::<Protocol>(&text).unwrap(), protocol);
    }
    assert_eq!(Protocol::shipped("mine"), None);
}
