"""The yardstick: the measured part of the contract as tutorials teach it, a competent developer's afternoon of work.

One connection per request, psycopg2 and bcrypt in sync routes, pdfplumber in the upload route, a dict of sockets.
"""

import io
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import bcrypt
import jwt
import pdfplumber
import psycopg2
from fastapi import Depends, FastAPI, HTTPException, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.security import OAuth2PasswordBearer
from psycopg2.extras import RealDictCursor
from pydantic import BaseModel, EmailStr

DATABASE_URL = os.environ["DATABASE_URL"]
SECRET_KEY = os.environ["SECRET_KEY"]
UPLOAD_DIR = Path("uploads")
SCHEMA = """
    CREATE TABLE IF NOT EXISTS users (
        id serial PRIMARY KEY, email text UNIQUE NOT NULL, password_hash text NOT NULL, name text NOT NULL,
        created_at timestamptz DEFAULT now());
    CREATE TABLE IF NOT EXISTS messages (
        id serial PRIMARY KEY, sender_id integer REFERENCES users (id), recipient_id integer REFERENCES users (id),
        content text NOT NULL, created_at timestamptz DEFAULT now());
    CREATE INDEX IF NOT EXISTS messages_sender_recipient ON messages (sender_id, recipient_id, id);
    CREATE TABLE IF NOT EXISTS documents (
        id serial PRIMARY KEY, user_id integer REFERENCES users (id), filename text NOT NULL, file_path text NOT NULL,
        extracted_text text, page_count integer, file_size bigint, created_at timestamptz DEFAULT now())
"""


def connect() -> "psycopg2.extensions.connection":
    return psycopg2.connect(DATABASE_URL, cursor_factory=RealDictCursor)


def prepare() -> None:
    UPLOAD_DIR.mkdir(exist_ok=True)
    with closing(connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    prepare()
    yield


app = FastAPI(lifespan=lifespan)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="login")


class UserCreate(BaseModel):
    email: EmailStr
    password: str
    name: str


class UserLogin(BaseModel):
    email: str
    password: str


class MessageCreate(BaseModel):
    recipient_id: int
    content: str


def create_access_token(user_id: int, email: str) -> str:
    expire = datetime.now(UTC) + timedelta(minutes=30)
    return jwt.encode({"sub": str(user_id), "email": email, "exp": expire}, SECRET_KEY, algorithm="HS256")


def verify_token(token: str) -> int:
    try:
        return int(jwt.decode(token, SECRET_KEY, algorithms=["HS256"])["sub"])
    except (jwt.InvalidTokenError, ValueError) as error:
        raise HTTPException(401, "Invalid token") from error


async def get_current_user_id(token: Annotated[str, Depends(oauth2_scheme)]) -> int:
    return verify_token(token)


CurrentUserId = Annotated[int, Depends(get_current_user_id)]


@app.post("/register")
def register(user: UserCreate) -> dict[str, Any]:
    password_hash = bcrypt.hashpw(user.password.encode(), bcrypt.gensalt()).decode()
    with closing(connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM users WHERE email = %s", (user.email,))
        if cursor.fetchone():
            raise HTTPException(400, "Email already registered")
        cursor.execute(
            "INSERT INTO users (email, password_hash, name) VALUES (%s, %s, %s) RETURNING id",
            (user.email, password_hash, user.name),
        )
        user_id = cursor.fetchone()["id"]  # type: ignore[call-overload,index]
    return {"access_token": create_access_token(user_id, user.email), "token_type": "bearer"}


@app.post("/login")
def login(credentials: UserLogin) -> dict[str, Any]:
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, email, password_hash FROM users WHERE email = %s", (credentials.email,))
        user: Any = cursor.fetchone()
    if not user or not bcrypt.checkpw(credentials.password.encode(), user["password_hash"].encode()):
        raise HTTPException(401, "Invalid credentials")
    return {"access_token": create_access_token(user["id"], user["email"]), "token_type": "bearer"}


@app.get("/me")
def read_me(user_id: CurrentUserId) -> Any:
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, email, name, created_at FROM users WHERE id = %s", (user_id,))
        user = cursor.fetchone()
    if not user:
        raise HTTPException(401, "Invalid token")
    return user


@app.post("/upload-pdf")
async def upload_pdf(file: UploadFile, user_id: CurrentUserId) -> dict[str, Any]:
    filename = file.filename or ""
    if not filename.lower().endswith(".pdf"):
        raise HTTPException(400, "Only PDF files are allowed")
    content = await file.read()
    try:
        text = ""
        tables: list[Any] = []
        with pdfplumber.open(io.BytesIO(content)) as pdf:
            page_count = len(pdf.pages)
            for page in pdf.pages:
                text += (page.extract_text() or "") + "\n"
                tables.extend(page.extract_tables())
    except Exception as error:
        raise HTTPException(400, f"Error processing PDF: {error}") from error
    path = UPLOAD_DIR / f"{uuid.uuid4()}.pdf"
    path.write_bytes(content)
    with closing(connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO documents (user_id, filename, file_path, extracted_text, page_count, file_size)
            VALUES (%s, %s, %s, %s, %s, %s) RETURNING id
            """,
            (user_id, filename, str(path), text, page_count, len(content)),
        )
        document_id = cursor.fetchone()["id"]  # type: ignore[call-overload,index]
    return {
        "document_id": document_id,
        "filename": filename,
        "page_count": page_count,
        "file_size": len(content),
        "text_preview": text[:500] + "..." if len(text) > 500 else text,
        "tables_found": len(tables),
    }


class ConnectionManager:
    def __init__(self) -> None:
        self.active_connections: dict[int, WebSocket] = {}

    async def connect(self, websocket: WebSocket, user_id: int) -> None:
        await websocket.accept()
        self.active_connections[user_id] = websocket

    def disconnect(self, user_id: int) -> None:
        self.active_connections.pop(user_id, None)

    async def send_personal_message(self, message: dict[str, Any], user_id: int) -> None:
        if websocket := self.active_connections.get(user_id):
            await websocket.send_json(message)


manager = ConnectionManager()


def save_message(sender_id: int, message: MessageCreate) -> Any:
    with closing(connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM users WHERE id = %s", (message.recipient_id,))
        if not cursor.fetchone():
            raise HTTPException(404, "User not found")
        cursor.execute(
            "INSERT INTO messages (sender_id, recipient_id, content) VALUES (%s, %s, %s) RETURNING id, created_at",
            (sender_id, message.recipient_id, message.content),
        )
        return cursor.fetchone()


@app.post("/messages")
async def send_message(message: MessageCreate, user_id: CurrentUserId) -> dict[str, Any]:
    saved = save_message(user_id, message)
    await manager.send_personal_message(
        {"sender_id": user_id, "content": message.content, "timestamp": saved["created_at"].isoformat()},
        message.recipient_id,
    )
    return {"id": saved["id"], "message": "Message sent successfully"}


MESSAGES = """
    SELECT m.id, m.sender_id, m.recipient_id, m.content, m.created_at, u.name AS sender_name
      FROM messages m JOIN users u ON u.id = m.sender_id
"""


@app.get("/messages")
def read_messages(user_id: CurrentUserId, page: int = 1, limit: int = 50) -> dict[str, Any]:
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            MESSAGES + "WHERE m.sender_id = %s OR m.recipient_id = %s ORDER BY m.id DESC LIMIT %s OFFSET %s",
            (user_id, user_id, limit, (page - 1) * limit),
        )
        return {"messages": cursor.fetchall(), "page": page, "limit": limit}


@app.get("/messages/{other_id}")
def read_conversation(other_id: int, user_id: CurrentUserId, limit: int = 1000) -> Any:
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            MESSAGES
            + """
            WHERE (m.sender_id = %s AND m.recipient_id = %s) OR (m.sender_id = %s AND m.recipient_id = %s)
            ORDER BY m.id DESC LIMIT %s
            """,
            (user_id, other_id, other_id, user_id, limit),
        )
        return cursor.fetchall()[::-1]


@app.websocket("/ws/{user_id}")
async def websocket_endpoint(websocket: WebSocket, user_id: int) -> None:
    await manager.connect(websocket, user_id)
    try:
        while True:
            message = MessageCreate(**await websocket.receive_json())
            saved = save_message(user_id, message)
            await manager.send_personal_message(
                {"sender_id": user_id, "content": message.content, "timestamp": saved["created_at"].isoformat()},
                message.recipient_id,
            )
    except WebSocketDisconnect:
        manager.disconnect(user_id)
