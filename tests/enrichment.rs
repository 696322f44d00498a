//! Looking addresses up, many of them.

use serde_json::Value;

use crate::cases::CaseOptions;
use crate::implementation::ALL;

/// More addresses than are remembered, again and again: what is remembered is what was found.
#[test]
fn every_address_has_its_own_network_whatever_was_looked_up_before() {
    let options = CaseOptions { geoip: true, format: Some("srcaddr dstaddr".into()), ..CaseOptions::default() };
    let city = |address: &str| match address.split('.').next() {
        Some("89") if address.starts_with("89.160.20.") => Some("Linköping"),
        _ => None,
    };
    let number = |address: &str| match address.split('.').next() {
        Some("89") if address.starts_with("89.160.") => Some(29518),
        Some("52") => Some(16509),
        _ => None,
    };
    let address = |number: u32| {
        let [_, a, b, c] = number.wrapping_mul(2_654_435_761).to_be_bytes();
        match number % 4 {
            0 => format!("89.160.20.{c}"),
            1 => format!("89.160.{b}.{c}"),
            2 => format!("52.{a}.{b}.{c}"),
            _ => format!("10.{a}.{b}.{c}"),
        }
    };
    let lines: String =
        (0..60_000).map(|number| format!("{} {}\n", address(number % 30_000), address(number / 7))).collect();
    for (name, open) in ALL {
        let outcome = open("elastic", &options).transform(lines.as_bytes(), 0);
        assert_eq!(outcome.counts, [60_000, 60_000, 0, 0]);
        for (line, event) in lines.lines().zip(outcome.events.split(|&byte| byte == b'\n')) {
            let event: Value = serde_json::from_slice(event).unwrap();
            for (end, address) in ["source", "destination"].into_iter().zip(line.split(' ')) {
                assert_eq!(event[end]["geo"]["city_name"].as_str(), city(address), "{name}, {line}");
                assert_eq!(event[end]["as"]["number"].as_u64(), number(address), "{name}, {line}");
            }
        }
    }
}
