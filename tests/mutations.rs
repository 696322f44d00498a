//! The cases with random bytes changed: nothing panics, every line is accounted for, every event is
//! JSON, and the component gives the same as the native parser.

use crate::cases::{self, SCHEMAS};
use crate::implementation::{ALL, Outcome};

/// Marsaglia's xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Bytes at which the parser takes decisions.
const LIKELY: &[u8] = b" \n\r\t-{}\":,\\.09az$_\0\x7f\x80\xc3\xff";

fn mutate(input: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + random.below(8) {
        let position = random.below(bytes.len());
        let byte = LIKELY[random.below(LIKELY.len())];
        match random.below(4) {
            0 => bytes[position] = byte,
            1 => bytes.insert(position, byte),
            2 if bytes.len() > 1 => drop(bytes.remove(position)),
            _ => {
                let end = (position + random.below(40)).min(bytes.len());
                let piece = bytes[position..end].to_vec();
                let target = random.below(bytes.len());
                bytes.splice(target..target, piece);
            }
        }
    }
    bytes
}

#[test]
fn mutated_cases_are_accounted_for_in_every_implementation() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for case in cases::all().iter().filter(|case| !case.input.is_empty()) {
        let mut of_schema = SCHEMAS.map(|schema| ALL.map(|(_, open)| open(schema, &case.options)));
        for round in 0..150 {
            let input = mutate(&case.input, &mut random);
            let implementations = &mut of_schema[round % SCHEMAS.len()];
            let outcomes = implementations.each_mut().map(|implementation| implementation.transform(&input, 0));
            let [native, component]: [Outcome; 2] = outcomes;
            assert_eq!(native.as_text(&input), component.as_text(&input), "{}", input.escape_ascii());
            let [lines, events, rejects, skips] = native.counts;
            assert_eq!(lines, input.split_inclusive(|&byte| byte == b'\n').count() as u64, "{}", input.escape_ascii());
            match input.contains(&b'{') {
                // Damage may make one line of JSON two objects.
                true => assert!(lines <= events + rejects + skips, "{}", input.escape_ascii()),
                false => assert_eq!(lines, events + rejects + skips, "{}", input.escape_ascii()),
            }
            for event in native.events.split_inclusive(|&byte| byte == b'\n') {
                let json = serde_json::from_slice::<serde_json::Value>(event);
                assert!(json.is_ok_and(|json| json.is_object()), "{}", input.escape_ascii());
            }
        }
    }
}
