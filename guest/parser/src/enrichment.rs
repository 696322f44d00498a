//! What MaxMind-format databases know of an address: ECS's `as` and `geo`.

use std::net::IpAddr;
use std::sync::Arc;

use maxminddb::Reader;
use serde_json::{Map, Value, json};

use crate::address;
use crate::error::OpenError;
use crate::record::Text;

/// MaxMind DB files (<https://maxmind.github.io/MaxMind-DB/>), whole.
#[derive(Clone, Default)]
pub struct Databases {
    /// Cities or countries, in the structure of GeoLite2 or in the flat one of `ip-location-db`.
    pub city: Option<Vec<u8>>,
    /// Autonomous systems, likewise.
    pub asn: Option<Vec<u8>>,
}

impl std::fmt::Debug for Databases {
    /// Their sizes: they are large.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes = [&self.city, &self.asn].map(|bytes| bytes.as_ref().map(Vec::len));
        f.debug_tuple("Databases").field(&sizes).finish()
    }
}

/// Recent addresses are remembered in so many sets, by their hash; in each the last four are kept.
const CACHE_SETS: usize = 4096;
const CACHE_WAYS: usize = 4;

/// Looks addresses up, and remembers what it has found.
#[derive(Debug)]
pub(crate) struct Enrichment {
    city: Option<Reader<Vec<u8>>>,
    asn: Option<Reader<Vec<u8>>>,
    cache: Vec<[Cached; CACHE_WAYS]>,
}

/// Small, so that a set lies in two lines of the processor's cache.
#[derive(Clone, Debug, Default)]
struct Cached {
    address: Option<IpAddr>,
    members: Arc<[u8]>,
}

impl Enrichment {
    /// Gives nothing where there is no database.
    pub(crate) fn open(databases: Databases) -> Result<Option<Enrichment>, OpenError> {
        let open = |bytes: Option<Vec<u8>>, what| match bytes.map(Reader::from_source).transpose() {
            Ok(reader) => Ok(reader),
            Err(error) => Err(OpenError::BadDatabase(format!("the {what} database is no MaxMind DB file: {error}"))),
        };
        let city = open(databases.city, "city")?;
        let asn = open(databases.asn, "AS")?;
        let enrichment = Enrichment { city, asn, cache: vec![Default::default(); CACHE_SETS] };
        Ok((enrichment.city.is_some() || enrichment.asn.is_some()).then_some(enrichment))
    }

    /// The members of an ECS `source` or `destination`, each with a comma behind it; none for an
    /// address that is not public or not known.
    #[inline]
    pub(crate) fn members(&mut self, text: Text<'_>) -> Arc<[u8]> {
        let address = address::parse(text.bytes());
        let set = set_of(address);
        match self.cache[set].iter().find(|cached| cached.address == Some(address)) {
            Some(cached) => cached.members.clone(),
            None => self.miss(set, address),
        }
    }

    #[cold]
    fn miss(&mut self, set: usize, address: IpAddr) -> Arc<[u8]> {
        let members: Arc<[u8]> = self.look_up(address).into();
        self.cache[set].rotate_right(1);
        self.cache[set][0] = Cached { address: Some(address), members: members.clone() };
        members
    }

    fn look_up(&self, address: IpAddr) -> Vec<u8> {
        let mut members = Vec::new();
        if !is_public(address) {
            return members;
        }
        let find = |reader: &Option<Reader<Vec<u8>>>| -> Value {
            // What a damaged place of a database holds is not known.
            let found = reader.as_ref().and_then(|reader| reader.lookup(address).ok()?.decode().ok()?);
            found.unwrap_or_default()
        };
        for (name, object) in [("as", autonomous_system(&find(&self.asn))), ("geo", geo(&find(&self.city)))] {
            if !object.is_empty() {
                members.extend_from_slice(format!("\"{name}\":{},", Value::Object(object)).as_bytes());
            }
        }
        members
    }
}

/// By multiplication with the golden ratio (Knuth), whose upper bits depend on all of the address.
fn set_of(address: IpAddr) -> usize {
    let bits = match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64 ^ address.to_bits() as u64,
    };
    (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % CACHE_SETS
}

/// The members that an address can have, each with a value.
pub(crate) fn every_member() -> Value {
    let found = json!({
        "autonomous_system_number": 1, "autonomous_system_organization": "x", "city": "x", "continent": "x",
        "country": {"iso_code": "x", "names": {"en": "x"}}, "location": {"latitude": 0.0, "longitude": 0.0},
        "subdivisions": [{"iso_code": "x", "names": {"en": "x"}}],
    });
    json!({ "as": autonomous_system(&found), "geo": geo(&found) })
}

fn autonomous_system(found: &Value) -> Map<String, Value> {
    let mut system = Map::new();
    if let Some(number) = found["autonomous_system_number"].as_u64() {
        system.insert("number".into(), number.into());
    }
    if let Some(name) = text(&found["autonomous_system_organization"]) {
        system.insert("organization".into(), json!({ "name": name }));
    }
    system
}

/// The fields that Elastic's data stream has. Names are English.
fn geo(found: &Value) -> Map<String, Value> {
    let country = &found["country"];
    let country_iso_code = text(&country["iso_code"]).or_else(|| text(&found["country_code"]));
    // The last subdivision is the smallest.
    let region = found["subdivisions"].as_array().and_then(|subdivisions| subdivisions.last()).unwrap_or(&Value::Null);
    let region_iso_code = match (country_iso_code, text(&region["iso_code"])) {
        (Some(country), Some(region)) => Some(format!("{country}-{region}")),
        _ => None,
    };
    let names = [
        ("city_name", named(&found["city"]).map(str::to_owned)),
        ("continent_name", named(&found["continent"]).map(str::to_owned)),
        ("country_iso_code", country_iso_code.map(str::to_owned)),
        ("country_name", named(country).map(str::to_owned)),
        ("region_iso_code", region_iso_code),
        ("region_name", named(region).or_else(|| text(&found["state1"])).map(str::to_owned)),
    ];
    let mut geo: Map<String, Value> =
        names.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
    let number = |name: &str| {
        let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
        number(&found["location"][name]).or_else(|| number(&found[name])).filter(|number| number.is_finite())
    };
    if let (Some(latitude), Some(longitude)) = (number("latitude"), number("longitude")) {
        geo.insert("location".into(), json!({ "lat": latitude, "lon": longitude }));
    }
    geo
}

/// An English name, or the text that the flat structure has in its place.
fn named(value: &Value) -> Option<&str> {
    text(&value["names"]["en"]).or_else(|| text(value))
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !matches!(text.trim(), "" | "-"))
}

/// Whether an address can be anywhere in the world: not private, shared, local, multicast or reserved.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || is_shared
                || first == 0
                || first >= 240)
        }
        IpAddr::V6(address) => {
            // What is global unicast today; unique local and link local addresses are not in it.
            address.segments()[0] & 0xe000 == 0x2000
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_known() {
        for address in
            ["10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.0"]
        {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fd00::1", "ff02::1", "::ffff:8.8.8.8"] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "100.63.0.1", "100.128.0.1", "172.32.0.1", "2a00:1450::1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn both_structures_of_databases_are_read() {
        let nested = json!({
            "city": {"names": {"en": "Linköping"}}, "continent": {"names": {"en": "Europe"}},
            "country": {"iso_code": "SE", "names": {"en": "Sweden"}},
            "location": {"latitude": 58.4167, "longitude": 15.6167},
            "subdivisions": [{"iso_code": "X"}, {"iso_code": "E", "names": {"en": "Östergötland County"}}],
        });
        let expected = json!({
            "city_name": "Linköping", "continent_name": "Europe", "country_iso_code": "SE", "country_name": "Sweden",
            "region_iso_code": "SE-E", "region_name": "Östergötland County",
            "location": {"lat": 58.4167, "lon": 15.6167},
        });
        assert_eq!(Value::Object(geo(&nested)), expected);
        let flat = json!({
            "city": "Linköping", "country_code": "SE", "state1": "Östergötland",
            "latitude": "58.4167", "longitude": 15.6167,
        });
        let expected = json!({
            "city_name": "Linköping", "country_iso_code": "SE", "region_name": "Östergötland",
            "location": {"lat": 58.4167, "lon": 15.6167},
        });
        assert_eq!(Value::Object(geo(&flat)), expected);
        let nothing = json!({"latitude": "NaN", "longitude": "1e999", "city": "-", "country_code": " ", "country": 5});
        for nothing in [Value::Null, json!(5), nothing] {
            assert!(geo(&nothing).is_empty());
        }
    }
}
