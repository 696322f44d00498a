//! The format of the flow logs that deliver to a log group, as EC2 knows it. CloudWatch Logs keeps no header line.
//!
//! The SDK's part for EC2 is larger than all of this program; one request of its Query protocol is not.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, ensure};
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::timeout::TimeoutConfig;
use aws_smithy_xml::decode::{Document, XmlDecodeError, try_data};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::chain;

/// Everything works without an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The formats, as in AWS's `LogFormat`, of all flow logs of the account that deliver to the log group of this name.
/// Needs `ec2:DescribeFlowLogs`:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeFlowLogs.html>.
pub(crate) async fn formats(config: &SdkConfig, log_group: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut formats = BTreeSet::new();
    let mut token = None;
    loop {
        let mut query = String::from("Action=DescribeFlowLogs&Version=2016-11-15&Filter.1.Name=log-group-name");
        let mut add = |name: &str, value: &str| {
            query.extend(["&", name, "="]);
            query.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        };
        add("Filter.1.Value.1", log_group);
        token.iter().for_each(|token: &String| add("NextToken", token));
        let page = page(&ask(config, query).await?).context("DescribeFlowLogs")?;
        formats.extend(page.formats);
        match page.next {
            Some(next) if token.as_ref() != Some(&next) => token = Some(next),
            _ => return Ok(formats),
        }
    }
}

/// Makes a request once.
async fn ask(config: &SdkConfig, query: String) -> anyhow::Result<String> {
    let region = config.region().context("no region is known")?.to_string();
    let endpoint = match config.endpoint_url() {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if region.starts_with("cn-") => format!("https://ec2.{region}.amazonaws.com.cn"),
        None => format!("https://ec2.{region}.amazonaws.com"),
    };
    let credentials = config.credentials_provider().context("no credentials are known")?.provide_credentials().await?;
    let request = signed(&endpoint, &query, &region, credentials.into())?;
    let operation = Operation::builder()
        .service_name("ec2")
        .operation_name("DescribeFlowLogs")
        .http_client(config.http_client().context("no HTTP client")?)
        .endpoint_url(&endpoint)
        .no_auth()
        .no_retry()
        .sleep_impl(config.sleep_impl().context("no clock")?)
        .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
        .serializer(|request: HttpRequest| Ok(request))
        .deserializer(|response: &HttpResponse| {
            let body = response.body().bytes().unwrap_or_default();
            Ok::<_, OrchestratorError<std::io::Error>>((response.status(), String::from_utf8_lossy(body).into_owned()))
        })
        .build();
    let (status, body) = operation.invoke(request).await.map_err(|error| anyhow!(chain(&error)))?;
    ensure!(status.is_success(), "status {status}: {}", error_code(&body));
    Ok(body)
}

/// A request whose parameters are all in its address, and who makes it in its headers.
fn signed(endpoint: &str, query: &str, region: &str, identity: Identity) -> anyhow::Result<HttpRequest> {
    let settings = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("ec2")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?;
    let url = format!("{endpoint}/?{query}");
    let signable = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (instructions, _) = sign(signable, &settings.into())?.into_parts();
    let mut request = HttpRequest::get(format!("/?{query}"))?;
    for (name, value) in instructions.headers() {
        request.headers_mut().insert(name.to_owned(), value.to_owned());
    }
    Ok(request)
}

/// What an answer holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    formats: Vec<String>,
    next: Option<String>,
}

fn page(body: &str) -> Result<Page, XmlDecodeError> {
    let mut page = Page::default();
    let mut document = Document::new(body);
    let mut root = document.root_element()?;
    while let Some(mut tag) = root.next_tag() {
        match tag.start_el().local() {
            "flowLogSet" => {
                while let Some(mut flow_log) = tag.next_tag() {
                    while let Some(mut member) = flow_log.next_tag() {
                        if member.start_el().local() == "logFormat" {
                            page.formats.push(try_data(&mut member)?.into_owned());
                        }
                    }
                }
            }
            "nextToken" => page.next = Some(try_data(&mut tag)?.into_owned()).filter(|token| !token.is_empty()),
            _ => {}
        }
    }
    Ok(page)
}

/// The code of an error, such as `UnauthorizedOperation`; its message may quote the request.
fn error_code(body: &str) -> &str {
    let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    code.map_or("no error of EC2's", |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_the_next_page_are_found() {
        let body = r#"<?xml version="1.0" encoding="UTF-8"?>
            <DescribeFlowLogsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
                <requestId>2d96dae3</requestId>
                <flowLogSet>
                    <item>
                        <tagSet/>
                        <logGroupName>g</logGroupName>
                        <logFormat>${version} ${srcaddr}</logFormat>
                        <destinationOptions><fileFormat>plain-text</fileFormat></destinationOptions>
                    </item>
                    <item><logFormat>${version}</logFormat></item>
                </flowLogSet>
                <nextToken>a&amp;b</nextToken>
            </DescribeFlowLogsResponse>"#;
        let expected =
            Page { formats: vec!["${version} ${srcaddr}".into(), "${version}".into()], next: Some("a&b".into()) };
        assert_eq!(page(body).unwrap(), expected);
        assert_eq!(
            page("<DescribeFlowLogsResponse><flowLogSet/></DescribeFlowLogsResponse>").unwrap(),
            Page::default()
        );
        assert!(page("").is_err());
        let error = "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>";
        assert_eq!(error_code(error), "UnauthorizedOperation");
    }
}
