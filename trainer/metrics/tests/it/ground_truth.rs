//! Overlap, crowd, void and geometry rules.

use glass_metrics::{
    Annotation, Crowds, GroundTruth, IGNORE, Mask, Nearest, OVERLAP, Placement, Protocol,
    RegionKind,
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
    let truth = GroundTruth::paint(protocol, 6, 1, &scene()).unwrap().unwrap();
    (truth.instances.labels().to_vec(), truth.semantics.labels().to_vec())
}

#[test]
fn each_protocol_paints_overlaps_and_crowds_its_own_way() {
    let (i, o) = (IGNORE, OVERLAP);
    assert_eq!(
        painted(&Protocol::glass_release()),
        (vec![1, 2, 2, 2, 2, 0], vec![9, 4, 4, 4, 4, 0])
    );
    assert_eq!(painted(&Protocol::spot()), (vec![1, i, i, 2, i, 3], vec![9, i, i, 4, i, 2]));
    assert_eq!(painted(&Protocol::oclf()), (vec![1, i, i, 2, 2, 0], vec![9, 9, 9, 4, 4, 0]));
    assert_eq!(
        painted(&Protocol::slotdiffusion()),
        (vec![1, o, o, 2, 2, 0], vec![9, o, o, 4, 4, 0])
    );
}

#[test]
fn pictures_with_a_crowd_can_be_left_out() {
    let protocol = Protocol { crowds: Crowds::DropPicture, ..Protocol::spot() };
    assert_eq!(GroundTruth::paint(&protocol, 6, 1, &scene()).unwrap(), None);
    assert!(GroundTruth::paint(&protocol, 6, 1, &scene()[..2]).unwrap().is_some());
}

#[test]
fn an_annotation_of_another_size_is_refused() {
    assert!(GroundTruth::paint(&Protocol::spot(), 5, 1, &scene()).is_err());
}

#[test]
fn undecided_pixels_follow_the_protocol() {
    let void = |protocol: &Protocol| {
        let truth = GroundTruth::from_label_maps(protocol, map("01f2"), map("0f13"), 15).unwrap();
        (truth.instances.labels().to_vec(), truth.semantics.labels().to_vec())
    };
    assert_eq!(void(&Protocol::spot()), (vec![0, 1, 0, 2], vec![0, 0, 1, 3]));
    assert_eq!(void(&Protocol::oclf()), (vec![0, IGNORE, IGNORE, 2], vec![0, IGNORE, IGNORE, 3]));
    assert_eq!(void(&Protocol::slotdiffusion()).0, vec![0, OVERLAP, OVERLAP, 2]);
}

#[test]
fn nearest_rules_differ_where_the_libraries_do() {
    let row = map("01234");
    assert_eq!(row.resize(3, 1, Nearest::Corner).labels(), &[0, 1, 3]);
    assert_eq!(row.resize(3, 1, Nearest::Centre).labels(), &[0, 2, 4]);
    assert_eq!(row.resize(10, 1, Nearest::Corner).labels(), &[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
}

#[test]
fn the_square_is_the_centre_of_the_picture() {
    assert_eq!(
        Placement::of(640, 480, 256),
        Placement { width: 341, height: 256, left: 42, top: 0 }
    );
    assert_eq!(Placement::of(100, 300, 50), Placement { width: 50, height: 150, left: 0, top: 50 });
    assert_eq!(map("0123 4567").square(2, Nearest::Corner).labels(), &[1, 2, 5, 6]);
    assert_eq!(Placement::of(1, 1, 256), Placement { width: 256, height: 256, left: 0, top: 0 });
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
