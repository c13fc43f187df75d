import CommandLine
import Consoles
import Foundation
import Kernel
import Store
import StorePostgres

/// What the verbs of the server's own machine do.
struct ServerInstallation: Installation {
    let environment: [String: String]
    let terminal: Terminal
    /// How this program was called: what a person types to call it again.
    let program: String

    func serve(listeners: [String]) async throws {
        let deployment = try Deployment.load(environment: environment)
        if listeners.isEmpty || listeners.contains("staff"), let reason = deployment.insecureStaffURL {
            throw CommandFailure(.usage, reason)
        }
        try await Running.open(deployment).serve(listeners: listeners)
    }

    func migrate() async throws {
        let deployment = try Deployment.load(environment: environment)
        let outcome = try await deployment.migrate()
        for step in outcome.applied { terminal.print("Applied step \(step.number), \(step.name).") }
        if outcome.applied.isEmpty { terminal.print("The database is up to date.") }
        if let role = outcome.role {
            terminal.print("The server's role is \(role); its password is in \(deployment.rolePasswordFile).")
        }
        if outcome.isPolicySeeded { terminal.print("The shipped roles, permissions and approval rules were added.") }
    }

    func doctor(isJSON: Bool) async throws -> Bool {
        let report = await Doctor(environment: environment).examine()
        terminal.write(isJSON ? report.json.pretty() + "\n" : report.text(on: terminal))
        return report.isHealthy
    }

    func recover(email: String) async throws -> (link: String, from: String, told: [String]) {
        let running = try await Running.open(try Deployment.load(environment: environment), asServers: true)
        do {
            try await running.continueLog()
            let address = email.lowercased()
            let person = try await running.database.read { reader in
                try reader.first(Staff.withEmail(address)).map(Staff.init)
            }
            guard let person else {
                throw CommandFailure(.notFound, "There is nobody with the address \(email.prefix(254)).")
            }
            let applied = try await running.applied(
                RecoverStaff.spec.name, on: person.id, by: .system("recovery"))
            // No server may be running, and what was asked for is to be provable all the same.
            try await running.sequencer.turn()
            let told = try await running.database.read { try RecoverStaff.told($0) }
            await running.close()
            return (applied.reveal["enrolment_link"] ?? "", (Clock.system.now + Recovery.delay).minuteText, told)
        } catch {
            await running.close()
            throw error
        }
    }

    func bootstrap(email: String, name: String?, insteadOf: String?) async throws -> String {
        let running = try await Running.open(try Deployment.load(environment: environment))
        do {
            try await running.continueLog()
            let input = JSON.members([
                ("email", .string(email)), ("name", name.map(JSON.string)), ("instead_of", insteadOf.map(JSON.string)),
            ])
            let applied = try await running.applied("staff.bootstrap", input, by: .system("bootstrap"))
            // No server may be running yet, and what happened is to be provable all the same.
            try await running.sequencer.turn()
            await running.close()
            return applied.reveal["enrolment_link"] ?? ""
        } catch {
            await running.close()
            throw error
        }
    }
}
