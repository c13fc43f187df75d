import CommandLine
import Consoles
import Foundation
import Kernel
import Store
import StoreSQLite

extension ServerInstallation {
    func demo(size: DemoSize?, serves: Bool) async throws {
        var environment = environment
        if environment["POSTERN_ENVIRONMENT", default: "demo"] != "demo" {
            throw CommandFailure(
                .usage, "postern demo is for trying Postern out; POSTERN_ENVIRONMENT must be unset or demo.")
        }
        environment["POSTERN_ENVIRONMENT"] = "demo"
        let deployment = try Deployment.load(environment: environment)
        let data = deployment.configuration.value("data")
        try PrivateFile.makeDirectory(data)
        var accounts = try DemoAccount.load(from: data)
        try await refuseForeign(deployment, isMade: accounts != nil)
        let large = try LargeDemoFile.load(from: data)
        if let size, let large, size != large.size {
            throw CommandFailure(
                .refused,
                """
                The demo in \(data) was made with --tenants \(large.size.tenants) --events \(large.size.events). Its data is made once; \
                remove the directory and its database to make another.
                """)
        }
        if accounts == nil {
            terminal.note("Making the demo company in \(data).")
            accounts = try await make(deployment, in: data, isLarge: size != nil)
        }
        if let size = size ?? large?.size, large?.isDone != true {
            try await makeLarge(LargeDemoFile(size: size, isDone: false), deployment, accounts ?? [])
        }
        guard serves else { return }
        let running = try await Running.open(deployment)
        let welcome = welcome(accounts ?? [], at: deployment.staffURL, of: deployment.configuration)
        try await running.serve(listeners: []) { [terminal] in terminal.write(welcome) }
    }

    func demoCode(email: String) async throws -> String {
        var environment = environment
        environment["POSTERN_ENVIRONMENT"] = "demo"
        let data = try Deployment.load(environment: environment).configuration.value("data")
        guard let accounts = try DemoAccount.load(from: data) else {
            throw CommandFailure(.notFound, "There is no demo in \(data) yet. Start it with: postern demo")
        }
        guard let account = accounts.first(where: { $0.email == email.lowercased() }),
            let code = account.code(at: Clock.system.now)
        else {
            throw CommandFailure(
                .notFound,
                "The demo has nobody with this address. It has:\n" + accounts.map(\.email).joined(separator: "\n"))
        }
        return code
    }

    /// A database that something else made is never touched. The name of the log in it is the mark.
    private func refuseForeign(_ deployment: Deployment, isMade: Bool) async throws {
        let storage = deployment.ownerStorage
        if case .sqlite(let path) = storage, !FileManager.default.fileExists(atPath: path) {
            guard !isMade else {
                throw CommandFailure(
                    .refused,
                    "\(path) is gone, but the sign-ins of the demo in it are still there. Remove its data directory to make it anew."
                )
            }
            return
        }
        if case .sqlite(let path) = storage {
            let tables: [String]
            do {
                tables = try SQLiteFile.tables(at: path)
            } catch {
                throw CommandFailure(error, storage)
            }
            guard tables.isEmpty || tables.contains("log_state") else { throw Self.foreign(storage) }
        }
        do {
            let (database, _) = try storage.open()
            do {
                let state = try await DemoQueries.content(of: database)
                await database.close()
                switch state {
                case .log(let name) where isMade && Deployment.isDemoOrigin(name): return
                case .empty where !isMade:
                    // What an interrupted making left beside a database that was then made anew.
                    try removeKeys(deployment)
                    return
                case .log(Deployment.demoOrigin),
                    .unnamed where isOwn(storage, deployment):
                    guard isOwn(storage, deployment) else {
                        throw CommandFailure(
                            .refused,
                            "The making of this demo was interrupted. Drop and create the database, then start again: \(storage.description)"
                        )
                    }
                    terminal.note("The making of the demo was interrupted; it begins anew.")
                    try discard(storage, deployment)
                default: throw Self.foreign(storage)
                }
            } catch {
                await database.close()
                throw error
            }
        } catch {
            throw CommandFailure(error, storage)
        }
    }

    private static func foreign(_ storage: Storage) -> CommandFailure {
        CommandFailure(
            .refused,
            """
            postern demo did not make this database and does not touch it: \(storage.description)
            Let POSTERN_DATABASE_URL name an empty one, or leave it unset.
            """)
    }

    /// True for the embedded database at its usual place in the demo's own directory.
    private func isOwn(_ storage: Storage, _ deployment: Deployment) -> Bool {
        deployment.configuration.entry("database_url")?.origin == .fallback
            && storage == .sqlite(path: deployment.configuration.value("data") + "/postern.db")
    }

    /// Removes a half-made demo: what this command wrote itself, and nothing else.
    private func discard(_ storage: Storage, _ deployment: Deployment) throws(CommandFailure) {
        guard case .sqlite(let path) = storage else { return }
        try remove([path, path + "-wal", path + "-shm"])
        try removeKeys(deployment)
    }

    /// Removes keys and checkpoints of a demo that never was whole; only those in its own directory.
    private func removeKeys(_ deployment: Deployment) throws(CommandFailure) {
        let configuration = deployment.configuration
        let data = configuration.value("data") + "/"
        try remove(
            ["checkpoints_file", "log_key_file", "master_key_file", "pepper_file"].map(configuration.value)
                .filter { $0.hasPrefix(data) })
    }

    private func remove(_ files: [String]) throws(CommandFailure) {
        for file in files where unlink(file) != 0 && errno != ENOENT {
            throw CommandFailure(.usage, "\(file) can't be removed: \(String(cString: strerror(errno))).")
        }
    }

    /// Makes the large data, or what is left of it.
    private func makeLarge(_ file: LargeDemoFile, _ deployment: Deployment, _ accounts: [DemoAccount]) async throws {
        let place = deployment.configuration.value("data")
        try file.save(in: place)
        // Statements about thousands of rows take longer than those of a request.
        let running = try await Running.open(deployment, statementTimeout: .minutes(10))
        StopRequest.listen()
        defer { StopRequest.end() }
        do {
            let staff = try await running.database.read { try LargeDemoQueries.staff($0) }
            func ids(_ accounts: [DemoAccount]) -> [String] { accounts.compactMap { staff[$0.email] } }
            let policy = try await running.database.read { try $0.first(SQLRecords().policy())?.int("version") }
            let editors = ids(accounts.filter { $0.roles.contains("super_admin") })
            guard !editors.isEmpty else {
                throw CommandFailure(.refused, "The people of the demo in \(place) are not in its database.")
            }
            let data = LargeData(
                size: file.size, seed: LargeDemoFile.seed, staff: ids(accounts), editors: editors,
                policyVersion: policy ?? 0)
            let large = LargeDemo(
                running: running, owner: deployment.ownerStorage, data: data, terminal: terminal)
            let outcome = try await large.make()
            await running.close()
            guard outcome == .done else {
                throw CommandFailure(
                    .refused,
                    "Stopped; what is in stays in. The same command goes on: \(program) demo --tenants \(file.size.tenants) --events \(file.size.events)"
                )
            }
            try LargeDemoFile(size: file.size, isDone: true).save(in: place)
            terminal.note(
                "\(file.size.tenants) tenants and \(file.size.events) events are in. To check them: \(program) verify")
        } catch {
            terminal.endProgress()
            await running.close()
            throw CommandFailure(error, running.storage)
        }
    }

    /// - Parameter isLarge: the people join before the two years of the large data.
    private func make(_ deployment: Deployment, in data: String, isLarge: Bool) async throws -> [DemoAccount] {
        let end = Clock.system.now
        let length = isLarge ? max(DemoStory.length, end - LargeData.start) : DemoStory.length
        let clock = ManualClock(end - length - .days(1))
        _ = try await deployment.migrate(clock: clock.clock)
        let running = try await Running.open(deployment, clock: clock.clock)
        await running.sequencer.start()
        do {
            let accounts = try await DemoStory(
                running: running, clock: clock, end: end, length: length
            ).tell()
            let made = try await running.applied(
                CreateRuntimeToken.spec.name,
                ["name": "Northwind Cloud", "scopes": .array(RuntimeScope.allCases.map { .string($0.rawValue) })],
                by: .system("demo"))
            let token = made.reveal["token"] ?? ""
            try await tellOfDrift(running)
            try await running.sequencer.turn()
            await running.close()
            try DemoAccount.save(accounts, runtimeToken: token, in: data)
            return accounts
        } catch {
            await running.close()
            if let error = error as? OperationError { throw CommandFailure(error) }
            throw CommandFailure(error, deployment.storage)
        }
    }

    /// The product's last sync says something else of some tenants than what was decided here.
    private func tellOfDrift(_ running: Running) async throws {
        let tenants = try await running.database.read { reader in
            try reader.query(Tenant.selectAll(after: "", limit: 1000)).map(Tenant.init)
        }
        for (slug, fields) in [
            ("juniper-legal", ["plan": "enterprise"]), ("quill-accounting", ["region": "eu-west", "tier": "priority"]),
            ("umber-coffee", ["status": "active"]),
        ] as [(String, [String: JSON])] {
            guard let tenant = tenants.first(where: { $0.slug == slug }) else { continue }
            let known: [String: JSON] = [
                "external_id": .string(tenant.externalID), "name": .string(tenant.name), "slug": .string(slug),
            ]
            _ = try await running.applied(
                "registry.put_tenant", ["tenant": .object(known.merging(fields) { _, new in new })],
                by: .system("product"))
        }
    }

    private func welcome(_ accounts: [DemoAccount], at url: String, of configuration: Configuration) -> String {
        let data = configuration.value("data")
        // Where the demo lies elsewhere, the other command must be told so too.
        let place = data == Deployment.demoDefaults["data"] ? "" : "POSTERN_DATA=\(data) "
        let width = (accounts.map(\.email.count).max() ?? 0) + 2
        func column(_ text: String) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }
        var lines = ["", "\(terminal.bold("Northwind Cloud is at \(url)"))", "", "Sign in as:"]
        lines += accounts.map { "  \(column($0.email))\($0.password)   \($0.roles.joined(separator: ", "))" }
        lines += [
            "", "The code comes from: \(place)\(program) demo code EMAIL",
            "All of it is in \(DemoAccount.file(in: data)). Ctrl-C stops.", "",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
