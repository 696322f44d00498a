//! MaxMind DB files that know every address of the generated inputs.

use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde_json::{Value, json};

/// One entry for each /16, as fine as a country's providers are.
fn build(entry: impl Fn(u32) -> Value) -> Vec<u8> {
    let mut database = Database::default();
    database.metadata.ip_version = IpVersion::V6;
    database.metadata.database_type = "Benchmark".into();
    database.metadata.binary_format_major_version = 2;
    for first in 11..=211_u32 {
        for second in 0..=255 {
            let data = database.insert_value(entry(first * 256 + second)).expect("the entry can be written");
            let network: IpAddrWithMask = format!("::{first}.{second}.0.0/112").parse().expect("it is a network");
            database.insert_node(network, data);
        }
    }
    database.write_to(Vec::new()).expect("the database can be written")
}

pub fn city() -> Vec<u8> {
    build(|number| {
        json!({
            "city": {"names": {"en": format!("City {number}")}}, "continent": {"names": {"en": "Europe"}},
            "country": {"iso_code": "SE", "names": {"en": "Sweden"}},
            "location": {"latitude": 58.4167, "longitude": 15.6167},
            "subdivisions": [{"iso_code": "E", "names": {"en": "Östergötland County"}}],
        })
    })
}

pub fn asn() -> Vec<u8> {
    build(|number| json!({"autonomous_system_number": number, "autonomous_system_organization": "Provider AB"}))
}
