//! Which samples come when.

use glass_trainer::data::{Order, Side, mirror, step_tokens};
use glass_trainer::decoders::TokenChoice;

#[test]
fn every_sample_is_seen_once_an_epoch_in_a_new_order() {
    let mut order = Order::new(3, 10, 0.5);
    let epoch =
        |order: &mut Order, n: u64| -> Vec<usize> { order.visits(n * 10, 10).iter().map(|v| v.sample).collect() };
    let (first, second) = (epoch(&mut order, 0), epoch(&mut order, 1));
    assert_ne!(first, second);
    for mut epoch in [first, second] {
        epoch.sort_unstable();
        assert_eq!(epoch, (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn a_visit_is_a_function_of_its_position() {
    let whole = Order::new(3, 7, 0.5).visits(0, 40);
    for (position, visit) in whole.iter().enumerate().rev() {
        assert_eq!(Order::new(3, 7, 0.5).visits(position as u64, 1), [*visit]);
    }
    assert_ne!(whole, Order::new(4, 7, 0.5).visits(0, 40));
}

#[test]
fn about_half_are_mirrored_and_none_where_flips_are_off() {
    let mirrored = |flip: f64| {
        let visits = Order::new(1, 50, flip).visits(0, 1000);
        visits.iter().filter(|v| v.side == Side::Mirrored).count()
    };
    assert!((450..550).contains(&mirrored(0.5)));
    assert_eq!((mirrored(0.0), mirrored(1.0)), (0, 1000));
}

#[test]
fn mirroring_exchanges_columns_and_keeps_channels() {
    assert_eq!(mirror(&[1, 2, 3, 4, 5, 6], 3, 1), [3, 2, 1, 6, 5, 4]);
    assert_eq!(mirror(&[1, 2, 3, 4], 2, 2), [3, 4, 1, 2]);
}

#[test]
fn a_step_decodes_a_share_of_the_tokens_drawn_anew() {
    let TokenChoice::Some(first) = step_tokens(1, 0, 256, 0.25) else { panic!("all tokens") };
    assert_eq!(first.len(), 64);
    assert!(first.windows(2).all(|pair| pair[0] < pair[1]));
    assert_ne!(step_tokens(1, 1, 256, 0.25), TokenChoice::Some(first));
    assert_eq!(step_tokens(1, 0, 256, 1.0), TokenChoice::All);
}
