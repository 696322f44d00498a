//! MaxMind DB files, made here: two networks in the structure of GeoLite2, one in the flat structure
//! of `ip-location-db`.

use std::sync::OnceLock;

use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde_json::{Value, json};

fn build(entries: &[(&str, Value)]) -> Vec<u8> {
    let mut database = Database::default();
    database.metadata.ip_version = IpVersion::V6;
    database.metadata.database_type = "Test".into();
    database.metadata.binary_format_major_version = 2;
    for (network, value) in entries {
        let data = database.insert_value(value).unwrap();
        let network: IpAddrWithMask = network.parse().unwrap();
        database.insert_node(network, data);
    }
    database.write_to(Vec::new()).unwrap()
}

/// Cities.
pub fn city() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let linkoeping = json!({
        "city": {"geoname_id": 2694762, "names": {"de": "Linköping", "en": "Linköping"}},
        "continent": {"code": "EU", "names": {"en": "Europe"}},
        "country": {"iso_code": "SE", "names": {"en": "Sweden"}},
        "location": {"latitude": 58.4167, "longitude": 15.6167, "time_zone": "Europe/Stockholm"},
        "subdivisions": [{"iso_code": "E", "names": {"en": "Östergötland County"}}],
    });
    let flat = json!({"city": "Tokyo", "country_code": "JP", "state1": "Tokyo", "latitude": "35.6895", "longitude": 139.69171});
    let country = json!({"country": {"iso_code": "US", "names": {"en": "United \"States\""}}});
    let entries = [("::89.160.20.0/120", linkoeping), ("2001:db8::/32", flat), ("::52.0.0.0/104", country)];
    BYTES.get_or_init(|| build(&entries)).clone()
}

/// Autonomous systems.
pub fn asn() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let system =
        |number: u32, name: &str| json!({"autonomous_system_number": number, "autonomous_system_organization": name});
    let entries = [
        ("::89.160.0.0/112", system(29518, "Bredband2 AB")),
        ("::52.0.0.0/104", json!({"autonomous_system_number": 16509})),
        // Private, so never looked up.
        ("::10.0.0.0/104", system(1, "nobody")),
    ];
    BYTES.get_or_init(|| build(&entries)).clone()
}

/// A valid database of more than 8 MiB.
pub fn large() -> Vec<u8> {
    build(&[("2001:db8::/32", json!({"filler": "x".repeat(9 << 20)}))])
}
