import AsyncHTTPClient
import Consoles
import Foundation
import HTML
import Kernel
import Logging
import NIOCore
import ServiceLifecycle
import Store
import Synchronization
import TestSupport
import Testing

@testable import Web

/// The real listeners on ports of their own, over a real database.
final class Loopback: Sendable {
    let test: TestDatabase
    let pipeline: Pipeline
    let door: TestDoor
    let metrics: Metrics
    let log = TestLog()
    let isReady = Mutex(true)
    let stopping = Stopping()
    private let ports = Mutex<[ListenerName: Int]>([:])
    private let client: HTTPClient

    static let formKey = [UInt8](repeating: 5, count: 32)

    private init(_ test: TestDatabase) {
        self.test = test
        let catalog = Catalog(Consoles.all + [ProbeConsole.console])
        pipeline = Pipeline(
            database: test.database, records: SQLRecords(), directory: StaffDirectory(), catalog: catalog,
            clock: test.clock.clock)
        door = TestDoor(clock: test.clock.clock)
        metrics = Metrics(gauges: [.init("postern_log_size", help: "Leaves.") { 1 }]) {
            [
                .init(
                    "postern_leader", help: "Leads.", [([("of", "a")], 1), ([("of", "b \"c\"")], 0.5)]),
                .init("postern_nothing", help: "Left out.", nil),
            ]
        }
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: .seconds(5), read: .seconds(30))
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func listeners(
        _ change: (inout WebConfiguration) -> Void = { _ in }, provider: (any SingleSignOn)? = nil,
        inboxes: (any Inboxes)? = nil,
        onListening: @escaping @Sendable (ListenerName, Int) async -> Void = { _, _ in }
    ) -> Listeners {
        var configuration = WebConfiguration(
            environment: .demo,
            addresses: Dictionary(uniqueKeysWithValues: ListenerName.allCases.map { ($0, .init(port: 0)) }),
            staffURL: "http://localhost:8080", requestsPerMinute: 0, signInsPerMinute: 0)
        change(&configuration)
        var logger = Logger(label: "test")
        // Defects are seen; what is expected is not.
        logger.logLevel = .error
        return Listeners(
            pipeline: pipeline, signIn: door, log: log, consoles: Consoles.all + [ProbeConsole.console],
            cursors: CursorCodec(key: [UInt8](repeating: 9, count: 32)), configuration: configuration,
            health: Health(
                [
                    .database(test.database, clock: test.clock.clock),
                    .init("log") { [weak self] in self?.isReady.withLock { $0 } == true ? nil : "The log is behind." },
                ], stopping: stopping), metrics: metrics, formKey: Self.formKey, provider: provider,
            accountDoor: ServiceAccountDoor(pipeline: pipeline, clock: test.clock.clock),
            provisioningDoor: ScimDoor(pipeline: pipeline, clock: test.clock.clock),
            inboxes: inboxes ?? StaffInbox(pipeline: pipeline),
            runtimeDoor: RuntimeTokenDoor(pipeline: pipeline, clock: test.clock.clock), qrSVG: { _ in "<svg></svg>" },
            clock: test.clock.clock,
            logger: logger,
            onListening: onListening)
    }

    /// Opens the listeners, runs `body` and shuts everything down again.
    static func run(
        _ kind: TestDatabase.Kind = .sqlite, _ change: (inout WebConfiguration) -> Void = { _ in },
        provider: (any SingleSignOn)? = nil, inboxes: (any Inboxes)? = nil,
        _ body: @escaping @Sendable (Loopback) async throws -> Void
    ) async throws {
        let loopback = Loopback(try await TestDatabase.make(kind))
        let (opened, opening) = AsyncStream.makeStream(of: (ListenerName, Int).self)
        let services = loopback.listeners(change, provider: provider, inboxes: inboxes) { opening.yield(($0, $1)) }
            .services()
        var quiet = Logger(label: "test")
        quiet.logLevel = .critical
        let group = ServiceGroup(configuration: .init(services: services, logger: quiet))
        let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try? await group.run() }
            var waiting = services.count
            for await (name, port) in opened {
                loopback.ports.withLock { $0[name] = port }
                waiting -= 1
                if waiting == 0 { break }
            }
            let result: Result<Void, any Error>
            do {
                try await body(loopback)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            await group.triggerGracefulShutdown()
            await tasks.waitForAll()
            return result
        }
        try? await loopback.client.shutdown()
        await loopback.test.drop()
        try result.get()
    }

    func port(_ listener: ListenerName) -> Int { ports.withLock { $0[listener] ?? 0 } }

    // MARK: Requests

    struct Answer: Sendable {
        let status: Int
        let headers: [(String, String)]
        let body: [UInt8]
        var text: String { String(decoding: body, as: UTF8.self) }
        var json: JSON { (try? JSON(parsing: body)) ?? .null }
        /// The slug of a problem's type.
        var problem: String? { json["type"]?.string.map { String($0.dropFirst("/problems/".count)) } }
        var pointers: [String] { (json["errors"]?.array ?? []).compactMap { $0["pointer"]?.string }.sorted() }
        subscript(name: String) -> String? { headers.first { $0.0.lowercased() == name.lowercased() }?.1 }
        func all(_ name: String) -> [String] { headers.filter { $0.0.lowercased() == name.lowercased() }.map(\.1) }

        /// The value of a hidden or visible field of the page.
        func field(_ name: String) -> String? {
            for part in text.components(separatedBy: "<input").dropFirst() {
                let tag = part.prefix { $0 != ">" }
                guard tag.contains("name=\"\(name)\""), let start = tag.range(of: "value=\"") else { continue }
                return String(tag[start.upperBound...].prefix { $0 != "\"" }).replacingOccurrences(
                    of: "&amp;", with: "&")
            }
            return nil
        }
    }

    func send(
        _ method: String, _ path: String, on listener: ListenerName = .staff, headers: [(String, String)] = [],
        body: [UInt8]? = nil
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port(listener))\(path)")
        request.method = .init(rawValue: method)
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let body { request.body = .bytes(ByteBuffer(bytes: body)) }
        let response = try await client.execute(request, timeout: .seconds(30))
        let bytes = try await response.body.collect(upTo: 16 << 20)
        return Answer(
            status: Int(response.status.code), headers: response.headers.map { ($0.name, $0.value) },
            body: Array(bytes.readableBytesView))
    }

    /// Asks for a long answer and goes away when it has begun.
    func beginAndLeave(_ path: String, token: String) async throws {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port(.staff))\(path)")
        request.headers.add(name: "Authorization", value: "Bearer \(token)")
        let response = try await client.execute(request, timeout: .seconds(30))
        for try await _ in response.body { break }
    }

    /// Asks for a long answer and reads it to its end.
    /// - Parameter meanwhile: done once it has begun.
    /// - Returns: whether it is whole; false when the connection was cut.
    func readOn(_ path: String, token: String, meanwhile: () -> Void) async throws -> Bool {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port(.staff))\(path)")
        request.headers.add(name: "Authorization", value: "Bearer \(token)")
        let response = try await client.execute(request, timeout: .seconds(30))
        var hasBegun = false
        do {
            for try await _ in response.body {
                if !hasBegun { meanwhile() }
                hasBegun = true
            }
            return true
        } catch {
            return false
        }
    }

    /// A call of the API.
    func api(
        _ method: String, _ path: String, token: String? = nil, key: String? = nil, _ body: JSON? = nil,
        headers: [(String, String)] = []
    ) async throws -> Answer {
        var all = headers
        if let token { all.append(("Authorization", "Bearer \(token)")) }
        if let key { all.append(("Idempotency-Key", key)) }
        if body != nil { all.append(("Content-Type", "application/json")) }
        return try await send(method, "/api/v1" + path, headers: all, body: body?.canonical)
    }

    /// A page, as a browser with this session's cookie asks for it.
    func page(_ path: String, token: String?, cookies: [String] = []) async throws -> Answer {
        try await send("GET", path, headers: [("Cookie", cookie(token, cookies))])
    }

    /// A form, as a browser sends it.
    func post(
        _ path: String, token: String?, cookies: [String] = [], site: String? = "same-origin", origin: String? = nil,
        _ fields: [String: String]
    ) async throws -> Answer {
        var headers = [("Cookie", cookie(token, cookies)), ("Content-Type", "application/x-www-form-urlencoded")]
        if let site { headers.append(("Sec-Fetch-Site", site)) }
        if let origin { headers.append(("Origin", origin)) }
        return try await send(
            "POST", path, headers: headers, body: Array(URLText.query(fields.mapValues { [$0] }).utf8))
    }

    private func cookie(_ token: String?, _ others: [String]) -> String {
        ((token.map { ["__Host-postern_staff=\($0)"] } ?? []) + others).joined(separator: "; ")
    }

    // MARK: Contents

    var system: Caller {
        Caller(
            actor: .system("test"), person: "test", displayName: "Test", client: .worker,
            requestID: Identifier.mint("req", at: test.clock.clock.now))
    }

    /// An active tenant.
    func tenant(_ slug: String) async throws -> (id: String, version: Int64) {
        let outcome = try await pipeline.run(
            OperationRequest(
                operation: "tenant.create",
                input: [
                    "external_id": .string("ext-\(slug)"), "name": .string("Tenant \(slug)"), "slug": .string(slug),
                    "plan": "pro", "region": "eu", "status": "active",
                ],
                idempotencyKey: "make-\(slug)"), by: system)
        guard case .applied(let applied) = outcome.result, let id = applied.target, let version = applied.version else {
            throw StoreError.other("tenant.create waits")
        }
        return (id, version)
    }

    func document(_ tenant: String) async throws -> JSON? {
        let type = try #require(pipeline.catalog.entity("tenant"))
        return try await test.database.read { reader in try type.load(tenant, false, reader)?.document }
    }

    var allPermissions: [String] { pipeline.catalog.permissions }
}

/// A console for tests: one list, one page, so that they depend on no other console's reads.
enum ProbeConsole {
    static let list = Read(
        "probe.list", summary: "Numbers", path: "/probes", permission: "probe.view", parameters: [.limit, .cursor],
        isList: true
    ) { call, _ in
        var start: Int64 = 0
        if let cursor = call.first("cursor") {
            start = try call.cursors.decode(cursor, scope: "probe").first?.int ?? 0
        }
        let limit = Int64(try call.limit())
        let items = (start..<min(start + limit, 5)).map { JSON.object(["number": .int($0)]) }
        let next = start + limit < 5 ? call.cursors.encode(scope: "probe", [.int(start + limit)]) : nil
        return .list(items, next: next)
    }

    static let one = Read("probe.view", summary: "One number", path: "/probes/{id}", permission: "probe.view") {
        call, _ in
        guard let id = call.path["id"], let number = Int64(id) else {
            throw OperationError.notFound("There is no probe \(call.path["id"] ?? "").")
        }
        return ReadAnswer(["number": .int(number)], version: number)
    }

    static let page = Page("/probe/{name}", permission: "probe.view", menuPath: "/probe") { call, _ in
        PageAnswer(title: "Probe", body: el("p") { call.path["name"] ?? "" })
    }

    static let console = Console("Probe", reads: [list, one], pages: [page])
}
