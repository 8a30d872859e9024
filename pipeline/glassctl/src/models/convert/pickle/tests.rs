//! Small pickles by hand: what is refused, and that nothing panics.

use super::{Fault, Pickled, Value, read};

fn fault(pickle: &[u8]) -> String {
    match read(&mut &*pickle) {
        Ok(read) => format!("read as {:?}", read.root),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn functions_that_build_no_tensor_are_refused_however_they_are_named() {
    for pickle in [
        &b"cposix\nsystem\n(X\x04\x00\x00\x00true\x85R."[..],
        // Hidden by throwing the result away.
        b"}cos\nsystem\nX\x04\x00\x00\x00true\x85R0.",
        b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.",
        b"ctorch\nload\n.",
        b"cbuiltins\neval\n.",
    ] {
        assert!(matches!(read(&mut &*pickle), Err(Fault::Call(_))), "{}", fault(pickle));
    }
}

#[test]
fn other_ways_to_call_are_no_opcodes_here() {
    for pickle in [&b"(iposix\nsystem\n."[..], b"(cposix\nsystem\no.", b"\x82\x01.", b"Pid\n."] {
        assert!(read(&mut &*pickle).is_err());
    }
}

#[test]
fn nonsense_is_an_error_and_no_panic() {
    for pickle in [
        &b""[..],
        b".",
        b"(.",
        b"t.",
        b"e.",
        b"]s.",
        b"}Na.",
        b"h\x05.",
        b"0.",
        b"R.",
        b"NNR.",
        b"NQ.",
        b")Q.",
        b"Nb.",
        b"\x87.",
        b"(0.",
        b"X\xff\xff\xff\xff.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"ccollections\nOrderedDict\n]N\x85a\x85R.",
        b"}(N\x85u.",
    ] {
        assert!(read(&mut &*pickle).is_err(), "{pickle:?}: {}", fault(pickle));
    }
}

#[test]
fn depth_is_no_danger() {
    let mut pickle = vec![b'N'];
    pickle.resize(2_000_000, 0x85);
    pickle.push(b'.');
    assert!(matches!(read(&mut pickle.as_slice()).map(|read| read.root), Ok(Value::Tuple(_))));
}

#[test]
fn a_container_filled_after_it_was_noted_is_whole_where_it_is_recalled() {
    // x = {}; noted; x["a"] = 7; (x, x)
    let pickle = b"}q\x00X\x01\x00\x00\x00aK\x07sh\x00\x86.";
    let read = read(&mut &pickle[..]).map_err(|fault| fault.to_string());
    let entry = |read: &Pickled| {
        let items = read.items(&read.root)?.to_vec();
        items.iter().map(|item| read.entry(item, "a").cloned()).collect::<Option<Vec<_>>>()
    };
    let entries = read.ok().as_ref().and_then(entry);
    assert!(matches!(entries.as_deref(), Some([Value::Int(7), Value::Int(7)])), "{entries:?}");
}

#[test]
fn a_small_file_cannot_ask_for_all_the_memory() {
    // A list of a thousand pairs, made into a dictionary again and again.
    let mut pickle = b"]q\x00(".to_vec();
    pickle.extend(b"NN\x86".repeat(1000));
    pickle.extend(b"e0");
    pickle.extend(b"ccollections\nOrderedDict\nh\x00\x85R0".repeat(100_000));
    pickle.push(b'.');
    assert!(fault(&pickle).contains("more values"), "{}", fault(&pickle));
}
