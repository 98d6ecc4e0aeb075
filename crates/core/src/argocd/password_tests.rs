use super::*;
use proptest::prelude::*;

/// Of "correct horse", made by Go at cost 4.
const HASH: &str = "$2a$04$.F6n2gQU/6XtWklSCGY9COQ14WyEC6q2rw9Dcb2rLOcQsDMvOWqgq";
const PASSWORD: &[u8] = b"correct horse";

fn matches(hash: &str, password: &[u8]) -> Option<bool> {
    PasswordHash::read(hash.as_bytes()).map(|hash| hash.matches(password))
}

#[test]
fn what_go_hashes_matches_and_nothing_else_does() {
    let of_72 = "$2a$04$ntlznYFxBKK2WAFyOo/.Je/RBLfNhm7KYpgTS7NPndklPCnz5xs4e";
    let with_zero = "$2a$04$pXc/E1VqZYzV6k78cHLO.emFNAPNnKJfKYw0zgJsbqHoMrhc4KPpy";
    let no_text = "$2a$04$JYsRucBmX83u6uXWiBFJK.xt5.PbZM5XFdKPSpBuvsByy2Y6Pf8rq";
    let x = |count: usize| vec![b'x'; count];
    let table: [(&str, &[u8], bool); 12] = [
        (HASH, PASSWORD, true),
        (HASH, b"correct horsf", false),
        (HASH, b"correct horse\n", false),
        (HASH, b"", false),
        (of_72, &x(72), true),
        (of_72, &x(71), false),
        (of_72, &[x(72), b"whatever".to_vec()].concat(), true),
        (with_zero, b"a\0b", true),
        (with_zero, b"a", false),
        (no_text, b"\xff\xfe", true),
        (no_text, b"\xff\xff", false),
        (no_text, &[0xff; 1000], false),
    ];
    for (row, (hash, password, expected)) in table.into_iter().enumerate() {
        assert_eq!(matches(hash, password), Some(expected), "row {row}");
    }
}

#[test]
fn every_version_up_to_2_is_read_as_go_reads_it() {
    let rest = &HASH[3..];
    for (hash, expected) in [
        (format!("$2b{rest}"), Some(true)),
        (format!("$2y{rest}"), Some(true)),
        (format!("$2x{rest}"), Some(true)),
        (format!("$2{rest}"), Some(true)),
        (format!("$1a{rest}"), Some(true)),
        (format!("$3a{rest}"), None),
        (format!("{HASH}\n"), Some(true)),
        (format!("{HASH}and more"), Some(true)),
        (format!(" {HASH}"), None),
        (HASH[..59].to_owned(), None),
        (HASH.replace("$04$", "$+4$"), Some(true)),
        (HASH.replace("$04$", "$03$"), None),
        (HASH.replace("$04$", "$32$"), None),
        (HASH.replace("$04$", "$-4$"), None),
        (HASH.replace("$04$", "$0x$"), None),
        (HASH.replace("$04$.", "$04$!"), None),
        (HASH.replace("Wqgq", "Wqgr"), Some(false)),
        (String::new(), None),
    ] {
        assert_eq!(matches(&hash, PASSWORD), expected, "{hash}");
    }
}

#[test]
fn the_cost_is_told_and_nothing_of_the_hash() {
    let hash = PasswordHash::read(HASH.as_bytes()).unwrap();
    assert_eq!(hash.cost(), 4);
    assert_eq!(format!("{hash:?}"), "PasswordHash(<redacted>)");
}

proptest! {
    #[test]
    fn no_hash_is_too_odd_to_be_read(hash in prop::collection::vec(any::<u8>(), 0..80), start in 0_usize..8) {
        let hash = [&HASH.as_bytes()[..start], &hash].concat();
        let _ = PasswordHash::read(&hash);
    }
}
