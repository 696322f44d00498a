//! Which events are asked for: those that agree in everything that the filter names.

use serde::Deserialize;
use vpcflow_parser::Flow;

use crate::traffic::{Verdict, Way};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Filter {
    source: Option<String>,
    destination: Option<String>,
    /// The destination's.
    port: Option<u16>,
    protocol: Option<u8>,
    verdict: Option<Verdict>,
    direction: Option<Way>,
    /// Unix milliseconds: flows that began then or later, and before `until`.
    from: Option<u64>,
    until: Option<u64>,
}

impl Filter {
    #[inline]
    pub(crate) fn takes(&self, flow: &Flow<'_>) -> bool {
        let is_address = |wanted: &Option<String>, found: Option<&[u8]>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted.as_bytes()))
        };
        is_address(&self.source, flow.source_address())
            && is_address(&self.destination, flow.destination_address())
            && self.port.is_none_or(|port| flow.destination_port() == Some(port))
            && self.protocol.is_none_or(|protocol| flow.protocol() == Some(protocol))
            && self.verdict.is_none_or(|verdict| Verdict::of(flow) == verdict)
            && self.direction.is_none_or(|direction| Way::of(flow) == direction)
            && self.from.is_none_or(|from| flow.start_millis().is_some_and(|start| start >= from))
            && self.until.is_none_or(|until| flow.start_millis().is_some_and(|start| start < until))
    }
}
