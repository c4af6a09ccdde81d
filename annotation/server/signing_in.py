"""Signing in as a person: a session by address and password, and a token of their own from it."""

import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request

from data_contracts.errors import FlywheelError


def personal_token(url: str, address: str, password: str) -> str:
    """Sign in as *address* with the form that people use; return a new personal access token.

    Raises:
        FlywheelError: the server is away, or does not know the address with this password.
    """
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar)
    )
    login = f"{url}/user/login/"
    try:
        opener.open(login, timeout=60).close()
        form = {"csrfmiddlewaretoken": _csrf(jar), "email": address, "password": password}
        _post(opener, login, urllib.parse.urlencode(form).encode(), {"Referer": login})
        answer = _post(
            opener, f"{url}/api/token/", b"{}",
            {"X-CSRFToken": _csrf(jar), "Referer": url, "Content-Type": "application/json"},
        )  # fmt: skip
        return str(json.loads(answer)["token"])
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        raise FlywheelError(
            f"nobody could sign in at {url} ({type(error).__name__}); start it with "
            "`flywheel annotate up` and use the password that it keeps"
        ) from None


def _post(
    opener: urllib.request.OpenerDirector, url: str, body: bytes, headers: dict[str, str]
) -> bytes:
    with opener.open(urllib.request.Request(url, body, headers), timeout=60) as answer:
        content: bytes = answer.read()
        return content


def _csrf(jar: http.cookiejar.CookieJar) -> str:
    return next((cookie.value or "" for cookie in jar if cookie.name == "csrftoken"), "")
