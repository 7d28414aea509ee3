"""The place of each client's file, by platform and environment. Of several possible places, the one in use counts."""

from pathlib import Path

from mcpward.cli.clients.client import Place


def claude_code(at: Place) -> Path:
    """Return the file of Claude Code's user scope."""
    return Path(at.env.get("CLAUDE_CONFIG_DIR") or at.home) / ".claude.json"


def claude_desktop(at: Place) -> Path:
    """Return the file of Claude Desktop."""
    return at.config() / "Claude" / "claude_desktop_config.json"


def vscode(at: Place) -> Path:
    """Return the file of VS Code's default profile."""
    return at.config() / "Code" / "User" / "mcp.json"


def codex(at: Place) -> Path:
    """Return the settings of Codex."""
    return Path(at.env.get("CODEX_HOME") or at.home / ".codex") / "config.toml"


def opencode(at: Place) -> Path:
    """Return the global settings of opencode."""
    return _with_comments(at.xdg() / "opencode" / "opencode.json")


def opencode_project(at: Place) -> Path:
    """Return the settings of opencode for a project."""
    return _with_comments(at.here / "opencode.json")


def copilot(at: Place) -> Path:
    """Return the servers of Copilot CLI."""
    return Path(at.env.get("COPILOT_HOME") or at.home / ".copilot") / "mcp-config.json"


def cline(at: Place) -> Path:
    """Return the servers of Cline: of its command line, or of its extension in VS Code."""
    name = "cline_mcp_settings.json"
    if named := at.env.get("CLINE_MCP_SETTINGS_PATH"):
        return Path(named)
    own = Path(at.env.get("CLINE_DIR") or at.home / ".cline") / "data" / "settings" / name
    extension = at.config() / "Code" / "User" / "globalStorage" / "saoudrizwan.claude-dev" / "settings" / name
    return extension if extension.exists() and not own.exists() else own


def continue_dev(at: Place) -> Path:
    """Return the settings of Continue."""
    return Path(at.env.get("CONTINUE_GLOBAL_DIR") or at.home / ".continue") / "config.yaml"


def windsurf(at: Place) -> Path:
    """Return the servers of Windsurf, or of Devin Desktop, as its successor is called."""
    old = at.home / ".codeium" / "windsurf" / "mcp_config.json"
    new = at.xdg() / "devin" / "mcp_config.json"
    return new if new.exists() and not old.exists() else old


def zed(at: Place) -> Path:
    """Return the settings of Zed, which uses the XDG folder on macOS too."""
    return at.config() / "Zed" / "settings.json" if at.platform == "win32" else at.xdg() / "zed" / "settings.json"


def goose(at: Place) -> Path:
    """Return the settings of goose, which uses the XDG folder on macOS too."""
    if at.platform == "win32":
        return at.config() / "Block" / "goose" / "config" / "config.yaml"
    return at.xdg() / "goose" / "config.yaml"


def lm_studio(at: Place) -> Path:
    """Return the servers of LM Studio; older ones on macOS have them in the cache folder."""
    new, old = at.home / ".lmstudio" / "mcp.json", at.home / ".cache" / "lm-studio" / "mcp.json"
    return old if old.exists() and not new.exists() else new


def mcporter(at: Place) -> Path:
    """Return the servers of mcporter."""
    folder = at.env.get("XDG_CONFIG_HOME")
    return _with_comments((Path(folder) / "mcporter" if folder else at.home / ".mcporter") / "mcporter.json")


def _with_comments(file: Path) -> Path:
    """Return the file beside it whose ending allows comments, if that one is in use."""
    other = file.with_suffix(".jsonc")
    return other if other.exists() and not file.exists() else file
