import Foundation
import Kernel
import Logging
import ServiceLifecycle
import TestSupport
import Testing

@testable import Web

@Suite struct ListenersTests {
    @Test func `every listener says how it is`() async throws {
        try await Loopback.run { loopback in
            for listener in ListenerName.allCases {
                #expect(try await loopback.send("GET", "/healthz", on: listener).status == 200)
                let ready = try await loopback.send("GET", "/readyz", on: listener)
                #expect(ready.status == 200)
                #expect(ready.json["checks"]?["database"] == "ok")
            }
            loopback.isReady.withLock { $0 = false }
            let behind = try await loopback.send("GET", "/readyz", on: .runtime)
            #expect(behind.status == 503)
            #expect(behind.json["checks"]?["log"] == "The log is behind.")
            let other = try await loopback.send("GET", "/runtime/v1/flags", on: .runtime)
            #expect(other.status == 404)
            #expect(other["Content-Type"] == "application/problem+json")
            #expect(try await loopback.send("GET", "/api/v1/me", on: .auditor).status == 404)
        }
    }

    @Test func `the log is open but for its leaves`() async throws {
        try await Loopback.run { loopback in
            let note = try await loopback.send("GET", "/log/checkpoint", on: .auditor)
            #expect(note.text.hasPrefix("postern.test/log\n1\n"))
            #expect(try await loopback.send("GET", "/log/key", on: .auditor).text == "test+00000000+AAAA\n")
            let tile = try await loopback.send("GET", "/log/tile/0/000.p/1", on: .auditor)
            #expect(tile.body == [UInt8](repeating: 7, count: 32))
            #expect(tile["Cache-Control"]?.contains("immutable") == true)
            for path in ["/log/tile/0/000", "/log/tile/64/000", "/log/tile/0/0", "/log/tile/0/000.p/256"] {
                #expect(try await loopback.send("GET", path, on: .auditor).status == 404, "\(path)")
            }
            let entries = "/log/tile/entries/000"
            #expect(try await loopback.send("GET", entries, on: .auditor).status == 401)
            let weak = loopback.door.token("bob", permissions: [])
            let strong = loopback.door.token("ann", permissions: ["audit.view"])
            #expect(
                try await loopback.send("GET", entries, on: .auditor, headers: [("Authorization", "Bearer \(weak)")])
                    .status
                    == 403)
            let leaves = try await loopback.send(
                "GET", entries, on: .auditor, headers: [("Authorization", "Bearer \(strong)")])
            #expect(leaves.body == [0, 2, 0x7B, 0x7D])
            let cookie = [("Cookie", "__Host-postern_staff=\(strong)")]
            #expect(try await loopback.send("GET", entries, on: .auditor, headers: cookie).status == 401)
        }
    }

    @Test func `leaves are for staff where staff are let in, and no oftener than elsewhere`() async throws {
        let entries = "/log/tile/entries/000"
        let elsewhere = { @Sendable (configuration: inout WebConfiguration) in
            configuration.staffNetworks = [NetworkRange("192.0.2.0/24")!]
            configuration.trustedProxies = [NetworkRange("127.0.0.1")!]
        }
        try await Loopback.run(.sqlite, elsewhere) { loopback in
            let token = loopback.door.token("ann", permissions: ["audit.view"])
            func leaves(from ip: String) async throws -> Loopback.Answer {
                try await loopback.send(
                    "GET", entries, on: .auditor,
                    headers: [("Authorization", "Bearer \(token)"), ("X-Forwarded-For", ip)])
            }
            let refused = try await leaves(from: "203.0.113.1")
            #expect(refused.status == 403 && refused.problem == "network-refused")
            #expect(try await leaves(from: "192.0.2.9").status == 200)
            // What is for everybody stays so.
            #expect(try await loopback.send("GET", "/log/checkpoint", on: .auditor).status == 200)
            #expect(try await loopback.send("GET", "/log/tile/0/000.p/1", on: .auditor).status == 200)
        }
        let few = { @Sendable (configuration: inout WebConfiguration) in configuration.requestsPerMinute = 2 }
        try await Loopback.run(.sqlite, few) { loopback in
            let mine = [("Authorization", "Bearer \(loopback.door.token("ann", permissions: ["audit.view"]))")]
            let others = [("Authorization", "Bearer \(loopback.door.token("bob", permissions: ["audit.view"]))")]
            for _ in 0..<2 {
                let answer = try await loopback.send("GET", entries, on: .auditor, headers: mine)
                #expect(answer.status == 200 && answer["RateLimit-Policy"]?.contains("\"session\"") == true)
            }
            #expect(try await loopback.send("GET", entries, on: .auditor, headers: mine).status == 429)
            #expect(try await loopback.send("GET", entries, on: .auditor, headers: others).status == 200)
        }
    }

    @Test func `leaves are recorded as shown once they are found`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: ["audit.view"])
            func shown() async throws -> Int? {
                try await loopback.api("GET", "/audit-events?action=audit.entries", token: token).json["items"]?.array?
                    .count
            }
            let mine = [("Authorization", "Bearer \(token)")]
            for path in ["/log/tile/entries/005", "/log/tile/entries/x"] {
                let missing = try await loopback.send("GET", path, on: .auditor, headers: mine)
                #expect(missing.status == 404, "\(path)")
            }
            #expect(try await shown() == 0)
            #expect(try await loopback.send("GET", "/log/tile/entries/000", on: .auditor, headers: mine).status == 200)
            #expect(try await shown() == 1)
        }
    }

    @Test func `requests and operations are counted`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            _ = try await loopback.api("GET", "/probes/1", token: token)
            _ = try await loopback.api("GET", "/probes/2", token: token)
            _ = try await loopback.api("POST", "/tenants/ten_x/suspend", token: token, key: "k", StaffAPITests.suspend)
            let metrics = try await loopback.send("GET", "/metrics", on: .metrics).text
            #expect(
                metrics.contains(
                    "postern_http_requests_total{listener=\"staff\",method=\"GET\","
                        + "route=\"/api/v1/probes/{id}\",status=\"200\"} 2"
                ))
            #expect(metrics.contains("postern_operations_total{operation=\"tenant.suspend\",outcome=\"not-found\"} 1"))
            #expect(metrics.contains("postern_log_size 1"))
            #expect(metrics.contains("# TYPE postern_streams gauge\npostern_streams 0\n"))
            #expect(
                metrics.contains(
                    "# TYPE postern_leader gauge\npostern_leader{of=\"a\"} 1\npostern_leader{of=\"b \\\"c\\\"\"} 0.5\n")
            )
            #expect(!metrics.contains("postern_nothing"))
            #expect(metrics.contains("le=\"+Inf\"} 2"))
            #expect(try await loopback.send("GET", "/metrics").status != 200)
        }
    }

    @Test func `a network that is not listed is refused`() async throws {
        let networks = { @Sendable (configuration: inout WebConfiguration) in
            configuration.staffNetworks = [NetworkRange("192.0.2.0/24")!]
            configuration.trustedProxies = [NetworkRange("127.0.0.1")!]
        }
        try await Loopback.run(.sqlite, networks) { loopback in
            #expect(try await loopback.send("GET", "/signin").status == 403)
            let inside = try await loopback.send("GET", "/signin", headers: [("X-Forwarded-For", "192.0.2.9")])
            #expect(inside.status == 200)
            let outside = try await loopback.send(
                "GET", "/signin", headers: [("X-Forwarded-For", "192.0.2.9, 203.0.113.1")])
            #expect(outside.status == 403)
            // nginx passes on what a client writes here.
            let spoofed = try await loopback.send(
                "GET", "/signin",
                headers: [("Forwarded", "for=192.0.2.9;proto=https"), ("X-Forwarded-For", "203.0.113.1")])
            #expect(spoofed.status == 403)
            #expect(try await loopback.send("GET", "/healthz", on: .runtime).status == 200)
        }
        let standard = { @Sendable (configuration: inout WebConfiguration) in
            networks(&configuration)
            configuration.trustedProxyHeader = .forwarded
        }
        try await Loopback.run(.sqlite, standard) { loopback in
            let inside = try await loopback.send("GET", "/signin", headers: [("Forwarded", "for=192.0.2.9")])
            #expect(inside.status == 200)
            let spoofed = try await loopback.send(
                "GET", "/signin", headers: [("X-Forwarded-For", "192.0.2.9"), ("Forwarded", "for=203.0.113.1")])
            #expect(spoofed.status == 403)
        }
    }

    @Test func `a balancer asks from any network whether a server can be sent to`() async throws {
        let networks = { @Sendable (configuration: inout WebConfiguration) in
            configuration.staffNetworks = [NetworkRange("192.0.2.0/24")!]
        }
        try await Loopback.run(.sqlite, networks) { loopback async throws in
            for path in ["/healthz", "/readyz"] {
                #expect(try await loopback.send("GET", path).status == 200, "\(path)")
            }
            loopback.isReady.withLock { $0 = false }
            #expect(try await loopback.send("GET", "/readyz").status == 503)
            for path in ["/", "/signin", "/api/v1/openapi.json", "/log/key", "/readyz/x"] {
                #expect(try await loopback.send("GET", path).status == 403, "\(path)")
            }
        }
    }

    @Test func `the provider says from any network who signed out`() async throws {
        let networks = { @Sendable (configuration: inout WebConfiguration) in
            configuration.staffNetworks = [NetworkRange("192.0.2.0/24")!]
        }
        try await Loopback.run(.sqlite, networks, provider: DistantProvider()) { loopback in
            let path = "/signin/oidc/logout"
            let told = try await loopback.post(path, token: nil, site: nil, ["logout_token": "signed"])
            #expect(told.status == 200)
            let page = try await loopback.send("GET", "/signin/oidc")
            let start = try await loopback.post("/signin/oidc/start", token: nil, [:])
            #expect(page.status == 403 && start.status == 403)
        }
        try await Loopback.run(.sqlite, networks) { loopback in
            let told = try await loopback.post("/signin/oidc/logout", token: nil, [:])
            #expect(told.status == 403)
        }
    }

    @Test func `a taken port is named with the way out`() async throws {
        try await Loopback.run { loopback in
            let port = loopback.port(.staff)
            let second = loopback.listeners { $0.addresses = [.staff: .init(port: port)] }.services()
            await #expect {
                try await second[0].run()
            } throws: { error in
                "\(error)".contains("port \(port) is taken") && "\(error)".contains("POSTERN_STAFF_PORT")
            }
        }
    }

    @Test func `a server about to stop says so, still answers, and closes connections in the open`() async throws {
        try await Loopback.run { loopback in
            #expect(try await loopback.send("GET", "/readyz")["Connection"] == nil)
            loopback.stopping.begin()
            for listener in ListenerName.allCases {
                let ready = try await loopback.send("GET", "/readyz", on: listener)
                #expect(ready.status == 503 && ready.json["status"] == "stopping")
                let alive = try await loopback.send("GET", "/healthz", on: listener)
                #expect(alive.status == 200 && alive["Connection"] == "close")
            }
            // Also where the answer comes before the body was read.
            let refused = try await loopback.send(
                "POST", "/api/v1/tenants/ten_x/suspend", body: .init(repeating: 32, count: 200_000))
            #expect(refused.status == 401 && refused["Connection"] == "close")
        }
    }

    @Test func `a check that does not answer is a complaint in time`() async throws {
        let check = Health.Check("database") {
            try? await Task.sleep(for: .seconds(60))
            return nil
        }
        let complaint = await check.complaint(within: .milliseconds(50))
        #expect(complaint?.contains("database") == true)
        #expect(await Health.Check("log") { nil }.complaint(within: .seconds(60)) == nil)
        #expect(await Health.Check("log") { "Behind." }.complaint(within: .seconds(60)) == "Behind.")
    }

    @Test func `a listener stops although a client keeps its connection`() async throws {
        let started = ContinuousClock.now
        try await Loopback.run { loopback in
            // The client's connection stays open for reuse.
            let alive = try await loopback.send("GET", "/healthz")
            #expect(alive.status == 200)
        }
        #expect(started.duration(to: .now) < .seconds(20))
    }
}
