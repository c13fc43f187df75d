import HTML
import Kernel

/// The clock that the database goes by. It has no page: who may confirm it finds it on the first one.
public enum ClockConsole {
    public static let console = Console(
        "Clock", operations: [AnyOperation(ConfirmClock.self)], reads: [view],
        entities: [AnyEntityType(ClockJump.self)])

    private static let view = Read(
        "clock_jump.view",
        summary: "A clock that was set: how far, how often since somebody looked, and who confirmed it.",
        path: "/clock-jumps/{id}", permission: ConfirmClock.spec.permission, schema: ClockJump.schema, hasVersion: true
    ) { call, reader in
        let id = call.path["id"] ?? ""
        guard let jump = try ClockJump.load(id, from: reader) else {
            throw OperationError.notFound("There is no clock_jump \(id.prefix(60)).")
        }
        return ReadAnswer(jump.document, version: jump.version)
    }
}

/// Says that what goes by dates stands still.
enum ClockNotice {
    static func mayConfirm(_ caller: Caller) -> Bool { caller.permissions.contains(ConfirmClock.spec.permission) }

    static func path(_ jump: ClockJump) -> String { "/clock-jumps/\(jump.id)/confirm" }

    /// On the first page, for whoever may confirm it.
    static func home(for caller: Caller, from reader: any Reader) throws -> Node {
        guard mayConfirm(caller), let jump = try ClockJump.open(from: reader) else { return .none }
        return node(jump, caller)
    }

    static func node(_ jump: ClockJump, _ caller: Caller) -> Node {
        UI.banner(
            .danger, "The server’s clock was set, \(jump.words).",
            "What goes by dates is held until somebody has looked and confirmed it: approved requests are not carried out when their time comes, and none is called expired.",
            action: mayConfirm(caller)
                ? UI.linkButton("Confirm the clock…", href: path(jump), style: .warns) : .none)
    }
}
