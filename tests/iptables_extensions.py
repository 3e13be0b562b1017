"""A rule's words for each match and target of iptables 1.8.9, as iptables-save prints them."""

from __future__ import annotations

from typing import Final

from ctpolicy.packetspace.fields import Family

V4, V6 = Family.IPV4, Family.IPV6

MATCHES: Final = {
    "addrtype": "-m addrtype --dst-type LOCAL",
    "ah": "-p ah -m ah --ahspi 500",
    "bpf": '-m bpf --bytecode "1,6 0 0 65535"',
    "cgroup": "-m cgroup --cgroup 1",
    "cluster": "-m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 0xdeadbeef",
    "comment": '-m comment --comment "a word"',
    "connbytes": "-m connbytes --connbytes 10000:100000 --connbytes-mode bytes --connbytes-dir both",
    "connlabel": "-m connlabel --label 1",
    "connlimit": "-m connlimit --connlimit-upto 2 --connlimit-mask 32 --connlimit-saddr",
    "connmark": "-m connmark --mark 0x1",
    "conntrack": "-m conntrack --ctstate NEW",
    "cpu": "-m cpu --cpu 0",
    "dccp": "-p dccp -m dccp --dccp-types REQUEST",
    "devgroup": "-m devgroup --src-group 0x1",
    "dscp": "-m dscp --dscp 0x01",
    "ecn": "-p tcp -m ecn --ecn-tcp-ece",
    "esp": "-p esp -m esp --espspi 500",
    "hashlimit": "-m hashlimit --hashlimit-upto 1/sec --hashlimit-burst 5 --hashlimit-name a",
    "helper": "-m helper --helper ftp",
    "icmp": "-p icmp -m icmp --icmp-type 8",
    "ipcomp": "-p ipcomp -m ipcomp --ipcompspi 500",
    "iprange": "-m iprange --src-range 10.0.0.1-10.0.0.9",
    "ipvs": "-m ipvs --ipvs",
    "length": "-m length --length 0:100",
    "limit": "-m limit --limit 1/sec",
    "mac": "-m mac --mac-source 02:00:00:00:00:01",
    "mark": "-m mark --mark 0x1",
    "multiport": "-p tcp -m multiport --dports 22,53",
    "nfacct": "-m nfacct --nfacct-name a",
    "osf": '-p tcp -m osf --genre Linux --ttl 0',
    "owner": "-m owner --uid-owner 0",
    "physdev": "-m physdev --physdev-in eth0",
    "pkttype": "-m pkttype --pkt-type unicast",
    "policy": "-m policy --dir in --pol none",
    "quota": "-m quota --quota 1000",
    "rateest": "-m rateest --rateest a --rateest-lt --rateest-bps 8bit",
    "realm": "-m realm --realm 0x1",
    "recent": "-m recent --set --name DEFAULT --mask 255.255.255.255 --rsource",
    "rpfilter": "-m rpfilter --invert",
    "sctp": "-p sctp -m sctp --chunk-types any DATA",
    "set": "-m set --match-set somebodys src",
    "socket": "-m socket --transparent",
    "state": "-m state --state NEW",
    "statistic": "-m statistic --mode random --probability 0.50000000000",
    "string": '-m string --string "a" --algo bm',
    "tcp": "-p tcp -m tcp --tcp-option 5",
    "tcpmss": "-p tcp -m tcpmss --mss 1:100",
    "time": "-m time --timestart 01:00:00 --timestop 02:00:00",
    "tos": "-m tos --tos 0x10/0x3f",
    "ttl": "-m ttl --ttl-eq 1",
    "u32": '-m u32 --u32 "0x0=0x0"',
    "udp": "-p udp -m udp --dport 53",
}  # fmt: skip
MATCHES_OF_IPV6: Final = {
    "dst": "-m dst --dst-len 8",
    "eui64": "-m eui64",
    "frag": "-m frag --fragid 1",
    "hbh": "-m hbh --hbh-len 8",
    "hl": "-m hl --hl-eq 1",
    "icmp6": "-p ipv6-icmp -m icmp6 --icmpv6-type 128",
    "ipv6header": "-m ipv6header --header ipv6-nonxt",
    "mh": "-p ipv6-mh -m mh --mh-type 1",
    "rt": "-m rt --rt-type 0",
    "srh": "-m srh --srh-next-hdr 6",
}

TARGETS: Final = {
    "AUDIT": "--type drop",
    "CHECKSUM": "--checksum-fill",
    "CLASSIFY": "--set-class 0001:0001",
    "CLUSTERIP": "--new --hashmode sourceip --clustermac 01:00:00:00:00:01 --total-nodes 2 --local-node 1",
    "CONNMARK": "--set-xmark 0x1/0xffffffff",
    "CONNSECMARK": "--save",
    "CT": "--zone 1",
    "DNAT": "--to-destination 10.0.0.1",
    "DSCP": "--set-dscp 0x01",
    "ECN": "--ecn-tcp-remove",
    "HMARK": "--hmark-tuple src --hmark-mod 2 --hmark-rnd 0x1",
    "IDLETIMER": "--timeout 5 --label a",
    "LED": '--led-trigger-id "a"',
    "LOG": "",
    "MARK": "--set-xmark 0x1/0xffffffff",
    "MASQUERADE": "",
    "NETMAP": "--to 10.0.0.0/8",
    "NFLOG": "--nflog-group 1",
    "NFQUEUE": "--queue-num 0",
    "NOTRACK": "",
    "RATEEST": "--rateest-name a --rateest-interval 250.0ms --rateest-ewmalog 500.0ms",
    "REDIRECT": "--to-ports 80",
    "REJECT": "--reject-with icmp-port-unreachable",
    "SECMARK": "--selctx a",
    "SET": "--add-set somebodys src",
    "SNAT": "--to-source 10.0.0.1",
    "SYNPROXY": "--mss 1460",
    "TCPMSS": "--clamp-mss-to-pmtu",
    "TCPOPTSTRIP": "--strip-options 5",
    "TEE": "--gateway 10.0.0.1",
    "TOS": "--set-tos 0x10/0x3f",
    "TPROXY": "--on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0",
    "TRACE": "",
    "TTL": "--ttl-set 64",
    "ULOG": "--ulog-nlgroup 1",
}
TARGETS_OF_IPV6: Final = {
    "DNPT": "--src-pfx fd00::/64 --dst-pfx fd01::/64",
    "HL": "--hl-set 64",
    "SNPT": "--src-pfx fd00::/64 --dst-pfx fd01::/64",
}


def samples(of_v4: dict[str, str], of_v6: dict[str, str]) -> list[tuple[str, str, Family]]:
    """Names, words and a family that knows them."""
    return [
        *((name, text, V4) for name, text in of_v4.items()),
        *((name, text, V6) for name, text in of_v6.items()),
    ]
