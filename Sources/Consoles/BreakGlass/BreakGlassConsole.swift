import HTML
import Kernel

/// Emergencies: one person acts on one tenant where its consent or policies would stop them, for half an hour, agreed to by another
/// and reviewed by a third (spec: access §7).
public enum BreakGlassConsole {
    public static let console = Console(
        "Break-glass",
        menu: [
            .init(
                .assurance, "Break-glass", icon: "alert", path: "/breakglass-sessions",
                permission: BreakGlassReads.permission, foresees: BreakGlassNotice.foresees, due: BreakGlassNotice.due)
        ],
        operations: [
            AnyOperation(OpenBreakGlass.self), AnyOperation(EndBreakGlass.self), AnyOperation(ExpireBreakGlass.self),
            AnyOperation(ReviewBreakGlass.self), AnyOperation(EscalateBreakGlass.self),
        ],
        reads: [BreakGlassReads.list, BreakGlassReads.view, BreakGlassReads.events],
        entities: [AnyEntityType(BreakGlass.self)],
        pages: [BreakGlassPages.list, BreakGlassPages.view],
        uniqueRules: [
            "breakglass_live": FieldError(
                pointer: "/input/tenant",
                detail: "You have a break-glass that is not reviewed yet. A person has one at a time.")
        ],
        choices: [
            "breakglass.review/verdict": { _ in
                BreakGlass.Verdict.allCases.map { Field.Choice($0.rawValue, BreakGlassPages.words($0)) }
            }
        ],
        specimens: [
            .init(
                "Break-glass",
                BreakGlass.State.allCases.map { BreakGlassPages.chip($0, isOverdue: false) }
                    + [BreakGlassPages.chip(.ended, isOverdue: true)])
        ], notice: BreakGlassNotice.node(_:on:_:))
}
