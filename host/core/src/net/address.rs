//! Which addresses are public. What is not is reached only where the operator named its network.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::url::shown;

/// The IANA special-purpose address registries, IPv4 and IPv6, with the multicast and reserved ranges beside them and what
/// is special though no registry says so. Read on 2026-11-25. All rows, also those that are said to be reachable globally:
/// no server that a skill is granted lives in them.
const SPECIAL: &[(&str, &str)] = &[
    // iana-ipv4-special-registry
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "a private network"),
    ("100.64.0.0/10", "shared address space of providers and clouds"),
    ("127.0.0.0/8", "this machine"),
    ("169.254.0.0/16", "the local link, and the metadata of clouds"),
    ("172.16.0.0/12", "a private network"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relays"),
    ("192.168.0.0/16", "a private network"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("255.255.255.255/32", "broadcast"),
    // In public space, and answers only inside of Azure.
    ("168.63.129.16/32", "the host of an Azure machine"),
    // iana-ipv6-special-registry
    ("::/96", "addresses that hold IPv4 ones"),
    ("::ffff:0:0/96", "addresses that hold IPv4 ones"),
    ("64:ff9b::/96", "translation to IPv4"),
    ("64:ff9b:1::/48", "translation to IPv4"),
    ("100::/64", "discard"),
    ("100:0:0:1::/64", "dummy"),
    ("2001::/23", "protocol assignments, Teredo among them"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "a private network"),
    ("fe80::/10", "the local link"),
    ("fec0::/10", "a private network"),
    ("ff00::/8", "multicast"),
];

/// All unicast addresses of IPv6 that have been given out so far. What lies outside of it is nobody's, or special.
const ALLOTTED: &str = "2000::/3";

struct Special {
    nets: Vec<(IpNet, &'static str)>,
    allotted: Option<IpNet>,
}

fn special() -> &'static Special {
    static SPECIAL_NETS: std::sync::OnceLock<Special> = std::sync::OnceLock::new();
    SPECIAL_NETS.get_or_init(|| Special {
        // A row that cannot be read would open its network; a test reads them all.
        nets: SPECIAL.iter().filter_map(|(net, what)| Some((net.parse().ok()?, *what))).collect(),
        allotted: ALLOTTED.parse().ok(),
    })
}

/// What kind of network a special address lies in; None for public ones.
pub(crate) fn special_kind(address: IpAddr) -> Option<&'static str> {
    let table = special();
    let row = table.nets.iter().find(|(net, _)| net.contains(&address)).map(|(_, what)| *what);
    row.or_else(|| {
        let outside = address.is_ipv6() && !table.allotted.is_some_and(|allotted| allotted.contains(&address));
        outside.then_some("not given out to anybody")
    })
}

/// Whether an address may be connected to. The error says why not.
pub(crate) fn check(address: IpAddr, granted: &[Network]) -> Result<(), &'static str> {
    match special_kind(address) {
        None => Ok(()),
        Some(_) if granted.iter().any(|network| network.contains(address)) => Ok(()),
        Some(what) => Err(what),
    }
}

/// The addresses of this machine's own name.
pub(crate) const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// A network that an operator makes reachable though it is not public: `192.168.1.0/24` or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Reads a network; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let net = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| "it is neither an address nor a network such as 10.0.0.0/8")?,
        };
        let shortest = if net.addr().is_ipv4() { 8 } else { 7 };
        if net.prefix_len() < shortest {
            return Err(format!("it is most of the Internet: at least /{shortest}"));
        }
        Ok(Self(net.trunc()))
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// What both cover.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        if self.0.contains(&other.0) { Some(*other) } else { other.0.contains(&self.0).then_some(*self) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|reason| format!("`{}` is no network: {reason}", shown(&text).escape_debug()))
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "HttpNetwork".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "description": "An address or a network, `192.168.1.0/24`." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// First and last address of every row, and what lies beside well-known ones.
    #[test]
    fn t60_special_addresses_are_refused_unless_their_network_is_granted() {
        assert_eq!(special().nets.len(), SPECIAL.len(), "a row cannot be read");
        for (row, _) in SPECIAL {
            let net: IpNet = row.parse().unwrap();
            assert_eq!(net, net.trunc(), "{row} has bits behind its prefix");
            for inside in [net.network(), net.broadcast()] {
                assert!(check(inside, &[]).is_err(), "{inside} of {row}");
                if net.prefix_len() >= 8 {
                    assert!(check(inside, &[Network::parse(row).unwrap()]).is_ok(), "{inside} is granted");
                }
                let other = if inside.is_ipv4() { "203.0.113.128/25" } else { "2001:db8:1::/48" };
                if !Network::parse(other).unwrap().contains(inside) {
                    assert!(check(inside, &[Network::parse(other).unwrap()]).is_err(), "{inside}");
                }
            }
        }
        for special in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "192.0.0.8",
            "192.0.0.170",
            "198.18.0.1",
            "198.19.255.255",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "::1",
            "::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001:0:1::1",
            "2001:db8::1",
            "2001:2::1",
            "2001:20::1",
            "ff02::1",
            "3fff::1",
            "5f00::1",
            "100::1",
            "4000::1",
            "e000::1",
            "200::1",
        ] {
            assert!(check(address(special), &[]).is_err(), "{special}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "168.63.129.15",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00::1",
            "2003::1",
        ] {
            assert_eq!(check(address(public), &[]), Ok(()), "{public}");
        }
    }

    #[test]
    fn networks_are_read_and_written() {
        for (text, written) in [
            ("192.168.1.0/24", "192.168.1.0/24"),
            ("192.168.1.7/24", "192.168.1.0/24"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1"),
        ] {
            assert_eq!(Network::parse(text).unwrap().to_string(), written);
        }
        for text in ["", "nas", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.0/7", "1.2.3", "10.0.0.0/8/8"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
        let net = |text| Network::parse(text).unwrap();
        assert_eq!(net("10.0.0.0/8").and(&net("10.1.0.0/16")), Some(net("10.1.0.0/16")));
        assert_eq!(net("10.1.0.0/16").and(&net("10.0.0.0/8")), Some(net("10.1.0.0/16")));
        assert_eq!(net("10.1.0.0/16").and(&net("10.2.0.0/16")), None);
    }
}
