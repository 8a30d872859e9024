//! The cases in which published code differs or surprises.

use glass_metrics::{
    BACKGROUND, Contingency, EmptyLabels, GroundTruth, IGNORE, LabelMap, Objects, OverlapScores, Points, Protocol,
    Sampling, TruthLabels, adjusted_rand_index, overlap_scores,
};

use crate::maps::{close, map, table};

fn overlap(truth: &str, prediction: &str, objects: Objects) -> Option<OverlapScores> {
    overlap_scores(&table(truth, prediction), objects, EmptyLabels::Skip).unwrap()
}

#[test]
fn a_perfect_grouping_scores_one_whatever_the_slots_are_called() {
    let (truth, prediction) = ("001 122 322", "440 011 211");
    let table = table(truth, prediction);
    assert!(close(adjusted_rand_index(&table, Points::All), 1.0));
    assert!(close(adjusted_rand_index(&table, Points::Foreground), 1.0));
    for objects in [Objects::WithBackground, Objects::WithoutBackground] {
        let scores = overlap(truth, prediction, objects).unwrap();
        assert!(close(scores.miou, 1.0) && close(scores.mbo, 1.0) && close(scores.recovery, 1.0));
        assert!(close(scores.corloc, 1.0));
    }
}

#[test]
fn a_picture_without_objects_has_fg_ari_one_and_no_overlap_unless_background_counts() {
    let (truth, prediction) = ("0000", "0001");
    assert!(close(adjusted_rand_index(&table(truth, prediction), Points::Foreground), 1.0));
    assert_eq!(overlap(truth, prediction, Objects::WithoutBackground), None);
    let scores = overlap(truth, prediction, Objects::WithBackground).unwrap();
    assert!(close(scores.miou, 0.75) && close(scores.mbo, 0.75));
}

#[test]
fn one_object_alone_has_fg_ari_one_only_if_one_slot_covers_it() {
    assert!(close(adjusted_rand_index(&table("0111", "0222"), Points::Foreground), 1.0));
    assert!(close(adjusted_rand_index(&table("0111", "0221"), Points::Foreground), 0.0));
}

#[test]
fn points_that_are_all_alone_score_one() {
    assert!(close(adjusted_rand_index(&table("1234", "4567"), Points::All), 1.0));
}

#[test]
fn a_picture_in_which_everything_is_ignored_takes_no_part() {
    let truth = LabelMap::filled(3, 2, IGNORE);
    let table = Contingency::new(&truth, &LabelMap::filled(3, 2, 1)).unwrap();
    assert!(table.truth().is_empty() && table.predicted().is_empty());
    for objects in [Objects::WithBackground, Objects::WithoutBackground] {
        for empty in [EmptyLabels::Skip, EmptyLabels::Count] {
            assert_eq!(overlap_scores(&table, objects, empty).unwrap(), None);
        }
    }
    assert!(close(adjusted_rand_index(&table, Points::All), 1.0));
}

#[test]
fn an_empty_map_takes_no_part() {
    let empty = LabelMap::filled(0, 0, BACKGROUND);
    let table = Contingency::new(&empty, &empty).unwrap();
    assert_eq!(overlap_scores(&table, Objects::WithBackground, EmptyLabels::Skip).unwrap(), None);
    assert!(close(adjusted_rand_index(&table, Points::All), 1.0));
}

#[test]
fn objects_without_a_slot_count_zero_in_miou_and_keep_their_best_overlap_in_mbo() {
    let scores = overlap("1122", "0000", Objects::WithoutBackground).unwrap();
    assert!(close(scores.miou, 0.25), "one of two objects has the only slot");
    assert!(close(scores.mbo, 0.5));
    assert!(close(scores.recovery, 0.0) && close(scores.corloc, 0.0), "one half is not above the threshold");
}

#[test]
fn surplus_slots_cost_nothing() {
    let scores = overlap("1111 0000", "1111 2345", Objects::WithoutBackground).unwrap();
    assert!(close(scores.miou, 1.0) && close(scores.mbo, 1.0));
}

#[test]
fn a_slot_that_no_pixel_chose_changes_nothing() {
    assert_eq!(overlap("0112", "0335", Objects::WithBackground), overlap("0112", "0996", Objects::WithBackground));
}

#[test]
fn background_pixels_enlarge_the_union_even_where_background_is_no_object() {
    let scores = overlap("0011", "1111", Objects::WithoutBackground).unwrap();
    assert!(close(scores.mbo, 0.5));
}

fn bring(protocol: &Protocol, instances: &str, semantics: &str, size: usize) -> GroundTruth {
    let (instances, semantics) = (map(instances), map(semantics));
    let square = Sampling::square(protocol, instances.width(), instances.height(), size);
    GroundTruth::from_label_maps(protocol, &square, &instances, &semantics, 255).unwrap()
}

#[test]
fn without_a_background_pixel_the_release_takes_the_first_object_for_background() {
    let mut protocol = Protocol::glass_release();
    let bring = |protocol: &Protocol| bring(protocol, "33 55", "77 99", 2);
    assert_eq!(bring(&protocol).instances.labels(), &[0, 0, 1, 1]);
    let prediction = LabelMap::new(2, 2, vec![0, 1, 1, 1]).unwrap();
    let parity = protocol.score(&bring(&protocol), &prediction).unwrap().instances;
    assert_eq!(parity.without_background.unwrap().objects, 1);
    assert!(close(parity.fg_ari, 1.0), "one object is left, and one slot covers it");

    protocol.labels = TruthLabels::Keep;
    assert_eq!(bring(&protocol).instances.labels(), &[3, 3, 5, 5]);
    let kept = protocol.score(&bring(&protocol), &prediction).unwrap().instances;
    assert_eq!(kept.without_background.unwrap().objects, 2);
    assert!(kept.fg_ari < 1.0);
    assert_eq!(kept.with_background, kept.without_background, "there is no background to count");
}

#[test]
fn an_object_that_the_crop_removes_is_no_object() {
    let square = bring(&Protocol::spot(), "1022 1022", "5077 5077", 2);
    assert_eq!(square.instances.labels(), &[0, 2, 0, 2]);
    let scores = Protocol::spot().score(&square, &map("01 01")).unwrap();
    let found = scores.instances.without_background.unwrap();
    assert_eq!((found.objects, found.miou), (1, 1.0));
    // A one-hot encoding without clean-up still has a column for it.
    let counted = Protocol::slotdiffusion().score(&square, &map("01 01")).unwrap();
    assert_eq!(counted.instances.without_background.unwrap().objects, 2);
    // Which is why SlotDiffusion's data numbers what is left anew, classes included.
    let square = bring(&Protocol::slotdiffusion(), "1022 1022", "5077 5077", 2);
    assert_eq!(square.instances.labels(), &[0, 1, 0, 1]);
    assert_eq!(square.semantics.labels(), &[0, 1, 0, 1]);
}

#[test]
fn the_release_counts_background_everywhere_and_spot_nowhere() {
    let truth = GroundTruth { instances: map("0001 0001"), semantics: map("0003 0003") };
    // Background is found, the object is not.
    let prediction = map("0001 0000");
    let of = |protocol: Protocol| {
        let scores = protocol.score(&truth, &prediction).unwrap();
        protocol.headline(&scores)
    };
    let (release, spot) = (of(Protocol::glass_release()), of(Protocol::spot()));
    assert_eq!((release.corloc, spot.corloc), (Some(1.0), Some(0.0)));
    assert!(release.miou_i > spot.miou_i && release.mbo_i > spot.mbo_i);
    assert_eq!(release.fg_ari, spot.fg_ari);
}

#[test]
fn the_headline_takes_background_metric_by_metric() {
    let truth = GroundTruth { instances: map("0012"), semantics: map("0011") };
    let prediction = map("0022");
    let scores = Protocol::slotdiffusion().score(&truth, &prediction).unwrap();
    let mixed = Protocol::slotdiffusion().headline(&scores);
    assert_eq!(mixed.miou_i, scores.instances.with_background.map(|s| s.miou));
    assert_eq!(mixed.mbo_i, scores.instances.without_background.map(|s| s.mbo));
    let release = Protocol::glass_release().headline(&scores);
    assert_eq!(release.mbo_c, scores.semantics.with_background.map(|s| s.mbo));
    let spot = Protocol::spot().headline(&scores);
    assert_eq!(spot.miou_i, scores.instances.without_background.map(|s| s.miou));
}

#[test]
fn maps_of_different_size_are_refused() {
    let error = Contingency::new(&map("00 00"), &map("000")).unwrap_err();
    assert_eq!(error.to_string(), "`prediction` is (3, 1) pixels, expected (2, 2)");
}

#[test]
fn argmax_takes_the_first_of_equal_slots_and_never_a_nan() {
    let scores = [0.5, f32::NAN, 0.1, 0.5, 0.2, f32::NAN];
    assert_eq!(LabelMap::from_argmax(&scores, 2, 3, 1).unwrap().labels(), &[0, 1, 0]);
}
