import NIOCore
import Testing

@testable import Connectors

/// Where notices may go, address by address.
@Suite struct PublicAddressTests {
    @Test(arguments: [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
        "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1",
        "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.1.1.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.1.2.3",
        "::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
        "100::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "2001::1", "2001:10::1", "2001:db8::1",
        "2002:7f00:1::1", "3fff::1",
    ])
    func `what is not the public internet is refused`(text: String) throws {
        #expect(!PublicAddress.isPublic(try SocketAddress(ipAddress: text, port: 443)))
    }

    @Test(arguments: [
        "1.1.1.1", "9.9.9.9", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1",
        "169.253.255.255", "172.15.255.255", "172.32.0.1", "192.0.1.1", "192.167.255.255", "198.17.255.255",
        "198.20.0.1", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:4860:4860::8888", "2a00::1",
        "2606:4700::1111", "2001:200::1",
    ])
    func `what is public is taken`(text: String) throws {
        #expect(PublicAddress.isPublic(try SocketAddress(ipAddress: text, port: 443)))
    }

    @Test(arguments: ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost", "127.0.0.1", "::1"])
    func `other ways to write this machine are seen through`(host: String) async {
        await #expect(throws: PublicAddress.Refusal.self) {
            _ = try await PublicAddress.checked(host, allowsPrivate: false)
        }
    }

    @Test(arguments: ["2852039166", "0xA9FEA9FE", "169.254.43518", "::ffff:a9fe:a9fe"])
    func `other ways to write the metadata service are seen through`(host: String) async {
        await #expect(throws: PublicAddress.Refusal.self) {
            _ = try await PublicAddress.checked(host, allowsPrivate: false)
        }
    }

    @Test func `what was checked is what is connected to`() async throws {
        #expect(try await PublicAddress.checked("2130706433", allowsPrivate: true) == "127.0.0.1")
        #expect(try await PublicAddress.checked("9.9.9.9", allowsPrivate: false) == "9.9.9.9")
    }

    @Test func `a host nobody knows is said so`() async {
        await #expect(throws: PublicAddress.Refusal.unknownHost) {
            _ = try await PublicAddress.checked("no-such-host.invalid", allowsPrivate: false)
        }
    }
}
